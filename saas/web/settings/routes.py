"""Addresses of the settings pages."""

from flask import Blueprint

from saas.web.settings import channels, invitations, keys, members, projects, roles, workspace
from saas.web.settings.tabs import tabs

blp = Blueprint("web_settings", __name__, url_prefix="/w/<workspace>/settings")

blp.context_processor(lambda: {"settings_tabs": tabs})

blp.add_url_rule("/channels", "channels", channels.index)
blp.add_url_rule("/channels/new", "new_channel", channels.new)
blp.add_url_rule("/channels/new", "create_channel", channels.create, methods=["POST"])
blp.add_url_rule("/channels/<channel_id>", "channel", channels.detail)
blp.add_url_rule("/channels/<channel_id>", "change_channel", channels.change, methods=["POST"])
blp.add_url_rule("/channels/<channel_id>/test", "test_channel", channels.test, methods=["POST"])
blp.add_url_rule("/channels/<channel_id>/dkim", "make_dkim", channels.make_dkim, methods=["POST"])
blp.add_url_rule("/channels/<channel_id>/dkim/remove", "remove_dkim", channels.remove_dkim, methods=["POST"])
blp.add_url_rule("/channels/<channel_id>/try-now", "try_channel", channels.try_channel, methods=["POST"])
blp.add_url_rule("/channels/<channel_id>/archive", "archive_channel", channels.archive, methods=["POST"])

blp.add_url_rule("/members", "members", members.index)
blp.add_url_rule("/members/<account_id>", "member", members.detail)
blp.add_url_rule("/members/<account_id>", "change_member", members.change, methods=["POST"])
blp.add_url_rule("/members/<account_id>/remove", "remove_member", members.remove, methods=["POST"])
blp.add_url_rule("/invitations/new", "new_invitations", invitations.new)
blp.add_url_rule("/invitations/new", "invite", invitations.invite, methods=["POST"])
blp.add_url_rule("/invitations/<invitation_id>/resend", "resend", invitations.resend, methods=["POST"])
blp.add_url_rule("/invitations/<invitation_id>/revoke", "revoke_invitation", invitations.revoke, methods=["POST"])
blp.add_url_rule("/roles", "roles", roles.index)

blp.add_url_rule("/keys", "keys", keys.index)
blp.add_url_rule("/keys/new", "new_key", keys.new)
blp.add_url_rule("/keys/new", "make_key", keys.make, methods=["POST"])
blp.add_url_rule("/keys/<key_id>/revoke", "revoke_key", keys.revoke, methods=["POST"])

blp.add_url_rule("/projects", "projects", projects.index)
blp.add_url_rule("/projects", "create_project", projects.create, methods=["POST"])
blp.add_url_rule("/projects/<project_id>", "project", projects.detail)
blp.add_url_rule("/projects/<project_id>", "rename_project", projects.rename, methods=["POST"])
blp.add_url_rule("/workspace", "workspace", workspace.detail)
blp.add_url_rule("/workspace", "change_workspace", workspace.change, methods=["POST"])
