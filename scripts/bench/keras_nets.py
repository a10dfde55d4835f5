"""VGG16 and ResNet50 with our head, in Keras; random weights, for time does
not depend on them. Input: [N,H,W,3], already preprocessed."""

import os

import worker

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(worker.THREADS)
tf.config.threading.set_inter_op_parallelism_threads(1)

EXPLAINED = {"resnet50": "conv5_block3_out", "vgg16": "block5_conv3"}
VERSIONS = {"keras": keras.__version__, "tensorflow": tf.__version__}


def build(name, classes=3):
    base = backbone(name)
    x = keras.layers.Dropout(0.5)(base.output)
    return keras.Model(base.input, keras.layers.Dense(classes, name="predictions")(x))


def finetuned(name, classes=3):
    """As Keras' guide to transfer learning has it for the second half: all of
    the backbone learns, and batch normalisation keeps its statistics."""
    base = backbone(name)
    base.trainable = True
    image = keras.Input((224, 224, 3))
    x = keras.layers.Dropout(0.2)(base(image, training=False))
    return keras.Model(image, keras.layers.Dense(classes, name="predictions")(x))


def backbone(name):
    keras.utils.set_random_seed(1)
    make = {"resnet50": keras.applications.ResNet50, "vgg16": keras.applications.VGG16}[name]
    return make(include_top=False, weights=None, input_shape=(224, 224, 3), pooling="avg")
