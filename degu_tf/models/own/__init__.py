"""Networks of users: any Keras model as one with the columns of a layout."""
