"""From members' outputs to an ensemble's labels, in numpy and as a TensorFlow graph."""

import numpy as np
import tensorflow as tf

from degu_tf.heads import MIN_LABEL_STD, Form, HeadLayout


def pool_members(columns: np.ndarray, heads: HeadLayout, epistemic: Form = "std") -> np.ndarray:
    """Members' outputs `(M, N, n_columns)` to a student's labels `(N, student columns)`.

    Activity: mean and population standard deviation over members. Aleatoric: mean over members in
    the column's own form, then as a standard deviation; for log-variances that is
    sqrt(exp(mean log-variance)), as in the released code.

    Examples
    --------
    >>> heads = HeadLayout(("activity",))
    >>> pool_members(np.array([[[1.0]], [[3.0]]]), heads).tolist()
    [[2.0, 1.0]]
    """
    columns = columns.astype(np.float64)
    activity = heads.take(columns, "mean")
    evidential = heads.aleatoric == "evidential"
    aleatoric = heads.std(columns if evidential else columns.mean(axis=0), "aleatoric")
    if evidential and aleatoric is not None:
        aleatoric = aleatoric.mean(axis=0)
    student = heads.student(epistemic)
    joined = student.join(activity.mean(axis=0), aleatoric, activity.std(axis=0))
    return joined.astype(np.float32)


def pool(columns: tf.Tensor, heads: HeadLayout, epistemic: Form = "std") -> tf.Tensor:
    """Members' outputs `(M, B, ...)` to labels: `pool_members` as a TensorFlow graph.

    Examples
    --------
    >>> pool(tf.constant([[[1.0]], [[3.0]]]), HeadLayout(("activity",))).numpy().tolist()
    [[2.0, 1.0]]
    """
    activity = heads.take(columns, "mean")
    std = tf.math.reduce_std(activity, 0)
    if epistemic == "log_variance":
        std = 2.0 * tf.math.log(tf.maximum(std, MIN_LABEL_STD))
    parts = [tf.reduce_mean(activity, 0)]
    if heads.aleatoric == "evidential":
        alpha, beta = heads.take(columns, "alpha"), heads.take(columns, "beta")
        parts.append(tf.reduce_mean(tf.sqrt(beta / (alpha - 1.0)), 0))
    elif heads.aleatoric is not None:
        mean = tf.reduce_mean(heads.take(columns, "aleatoric"), 0)
        parts.append(tf.exp(0.5 * mean) if heads.aleatoric == "log_variance" else mean)
    return tf.concat([*parts, std], -1)
