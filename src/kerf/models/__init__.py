"""Language models behind one small protocol. Vendors' libraries are imported when a model of theirs is opened."""
