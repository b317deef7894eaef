"""Addresses of the audience pages."""

from flask import Blueprint, request

from saas.http.shell import shell
from saas.web.audiences import audiences, contacts, imports, lists

blp = Blueprint("web_audiences", __name__, url_prefix="/w/<workspace>")
_UPLOAD = "web_audiences.start_import"
_ROUND_THE_FILE = 1024 * 1024

blp.add_url_rule("/lists", "lists", lists.index)
blp.add_url_rule("/lists/new", "new_list", lists.new)
blp.add_url_rule("/lists/new", "create_list", lists.create, methods=["POST"])
blp.add_url_rule("/lists/<list_id>", "list_detail", lists.detail)
blp.add_url_rule("/lists/<list_id>", "change_list", lists.change, methods=["POST"])
blp.add_url_rule("/lists/<list_id>/delete", "delete_list", lists.delete, methods=["POST"])

blp.add_url_rule("/contacts/<contact_id>", "contact", contacts.detail)

blp.add_url_rule("/imports", "imports", imports.index)
blp.add_url_rule("/imports/new", "new_import", imports.new)
blp.add_url_rule("/imports/new", "start_import", imports.start, methods=["POST"])
blp.add_url_rule("/imports/<import_id>", "import_detail", imports.detail)
blp.add_url_rule("/imports/<import_id>/progress", "import_progress", imports.progress)
blp.add_url_rule("/imports/<import_id>/errors", "import_errors", imports.errors)
blp.add_url_rule("/imports/<import_id>/cancel", "cancel_import", imports.cancel, methods=["POST"])

blp.add_url_rule("/audiences", "audiences", audiences.index)
blp.add_url_rule("/audiences/new", "new_audience", audiences.new)
blp.add_url_rule("/audiences/new", "create_audience", audiences.create, methods=["POST"])
blp.add_url_rule("/audiences/<audience_id>", "audience", audiences.detail)
blp.add_url_rule("/audiences/<audience_id>", "change_audience", audiences.change, methods=["POST"])
blp.add_url_rule("/audiences/<audience_id>/count", "count_audience", audiences.count, methods=["POST"])
blp.add_url_rule("/audiences/<audience_id>/delete", "delete_audience", audiences.delete, methods=["POST"])


@blp.before_request
def lift_the_limit() -> None:
    """Let a file in: before anything looks at the body, because the limit is fixed by the first look."""
    if request.endpoint == _UPLOAD:
        request.max_content_length = shell().settings.import_max_bytes + _ROUND_THE_FILE
