"""Chips: designs read from the field's formats, scored by the field's metrics, drawn."""
