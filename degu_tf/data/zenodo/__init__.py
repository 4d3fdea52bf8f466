"""Released files on Zenodo: the record, downloads, archives."""
