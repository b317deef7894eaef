"""Who may do what: actions, roles, the matrix, grants and the Flask-Principal bridge. Knows no tenant class."""
