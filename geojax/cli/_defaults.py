"""The settings that the commands start from, in one place."""

MODEL = "rotated_mnist"
DEMO_MODEL = "characters"
# Where the geometry is taken, unless a model says its own level: with inversion, the protocol that
# came nearest to the truth on Rotated MNIST. That of arXiv 2505.11128 is t = 0.4, lam = 1000 and
# one noise for both images.
T = 0.2  # the noise level: step k of T is k / T
LAM = "auto"  # by |s|^2 at the middle of the chord and at its ends
SEGMENTS = 16
SEED = 5  # with it the demo draws two digits that differ in more than angle
DENOISE_STEPS = 30
FRAMES = 17  # pictures from A to B
EXTENT = 0.5  # how far beyond B, as a share of the way from A to B

# By solver: the steps that it may take.
MAX_STEPS = {
    "gauss-newton": 200,
    "adam": 2000,
    "lbfgs": 500,
    "coarse-to-fine": 200,
    "lambda-continuation": 200,
}

# The demo's end-points: a character and itself turned, in degrees. No picture of the training set
# has this angle.
GLYPH = "F"
ANGLE = 20.75
TURN = 120.0
# With a model of digits they are drawn from it by class.
LABEL_A = 2
LABEL_B = 7
GUIDANCE = 2.0
PROMPT_GUIDANCE = 7.5  # with which Stable Diffusion draws
DRAW_STEPS = 50

TRAIN_OUT = "geojax-model"
TRAIN_STEPS = 12_000
SAVE_EVERY = 250
HELD_OUT = 512

INSPECT_T = (0.05, 0.1, 0.2, 0.3, 0.4, 0.6)
INSPECT_COUNT = 6
INSPECT_PAIRS = 2
INSPECT_SEGMENTS = 16
# The side of a picture up to which a folder of diffusers is asked more than a path takes: its
# geometry by `inspect`, and whether it knows the pictures.
SMALL_SIDE = 64
