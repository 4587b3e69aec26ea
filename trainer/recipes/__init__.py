"""Preset recipes, as packaged YAML files."""
