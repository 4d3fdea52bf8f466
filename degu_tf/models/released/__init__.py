"""Weight files that others trained, recognised by content and rebuilt here."""
