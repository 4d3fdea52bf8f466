"""What only the paper's figures need; what runs them (`degu_tf.cli.reproduce`) alone imports it.

Importing it loads TensorFlow without its start-up notices.
"""

from degu_tf.utils import quiet

quiet.tensorflow()
