"""What only the paper's figures need; imported by experiments, notebooks and tests alone.

Importing it loads TensorFlow without its start-up notices.
"""

from degu_tf.utils import quiet

quiet.tensorflow()
