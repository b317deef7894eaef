"""What campaigns are sorted by and begun with: categories and templates, and how the list is narrowed."""
