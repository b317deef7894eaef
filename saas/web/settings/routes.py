"""Addresses of the settings pages."""

from flask import Blueprint

from saas.web.settings import (
    access,
    audit,
    categories,
    channels,
    hooks,
    invitations,
    keys,
    leaving,
    members,
    policies,
    projects,
    roles,
    workspace,
)
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
blp.add_url_rule("/webhooks/new", "new_hook", hooks.new)
blp.add_url_rule("/webhooks/new", "create_hook", hooks.create, methods=["POST"])
blp.add_url_rule("/webhooks/<hook_id>", "change_hook", hooks.change, methods=["POST"])
blp.add_url_rule("/webhooks/<hook_id>/ping", "ping_hook", hooks.ping, methods=["POST"])
blp.add_url_rule("/webhooks/<hook_id>/secret", "rotate_hook", hooks.rotate, methods=["POST"])
blp.add_url_rule("/channels/<channel_id>/archive", "archive_channel", channels.archive, methods=["POST"])

blp.add_url_rule("/members", "members", members.index)
blp.add_url_rule("/members/<account_id>", "member", members.detail)
blp.add_url_rule("/members/<account_id>", "change_member", members.change, methods=["POST"])
blp.add_url_rule("/members/<account_id>/remove", "remove_member", leaving.remove, methods=["POST"])
blp.add_url_rule("/access", "access", access.index)
blp.add_url_rule("/access", "ask_access", access.ask, methods=["POST"])
blp.add_url_rule("/access/<request_id>/grant", "grant_access", access.grant, methods=["POST"])
blp.add_url_rule("/access/<request_id>/decline", "decline_access", access.decline, methods=["POST"])
blp.add_url_rule("/invitations/new", "new_invitations", invitations.new)
blp.add_url_rule("/invitations/new", "invite", invitations.invite, methods=["POST"])
blp.add_url_rule("/invitations/<invitation_id>/resend", "resend", invitations.resend, methods=["POST"])
blp.add_url_rule("/invitations/<invitation_id>/revoke", "revoke_invitation", invitations.revoke, methods=["POST"])
blp.add_url_rule("/roles", "roles", roles.index)

blp.add_url_rule("/keys", "keys", keys.index)
blp.add_url_rule("/keys/new", "new_key", keys.new)
blp.add_url_rule("/keys/new", "make_key", keys.make, methods=["POST"])
blp.add_url_rule("/keys/<key_id>/rotate", "rotate_key", keys.rotate, methods=["POST"])
blp.add_url_rule("/keys/<key_id>/revoke", "revoke_key", keys.revoke, methods=["POST"])

blp.add_url_rule("/policies", "policies", policies.index)
blp.add_url_rule("/policies/rules", "policy", policies.edit)
blp.add_url_rule("/policies/rules", "save_policy", policies.save, methods=["POST"])
blp.add_url_rule("/policies/outside", "add_outside", policies.add_outside, methods=["POST"])
blp.add_url_rule("/policies/outside/<outside_id>/code-word", "set_code_word", policies.set_code_word, methods=["POST"])
blp.add_url_rule("/policies/outside/<outside_id>/resend", "confirm_again", policies.confirm_again, methods=["POST"])
blp.add_url_rule("/policies/outside/<outside_id>/remove", "revoke_outside", policies.revoke_outside, methods=["POST"])

blp.add_url_rule("/projects", "projects", projects.index)
blp.add_url_rule("/projects", "create_project", projects.create, methods=["POST"])
blp.add_url_rule("/projects/<project_id>", "project", projects.detail)
blp.add_url_rule("/projects/<project_id>", "change_project", projects.change, methods=["POST"])
blp.add_url_rule("/categories", "categories", categories.index)
blp.add_url_rule("/categories", "create_category", categories.create, methods=["POST"])
blp.add_url_rule("/categories/<category_id>", "change_category", categories.change, methods=["POST"])
blp.add_url_rule("/categories/<category_id>/remove", "remove_category", categories.remove, methods=["POST"])
blp.add_url_rule("/workspace", "workspace", workspace.detail)
blp.add_url_rule("/workspace", "change_workspace", workspace.change, methods=["POST"])
blp.add_url_rule("/workspace/logo", "put_logo", workspace.put_logo, methods=["POST"])
blp.add_url_rule("/workspace/logo/remove", "remove_logo", workspace.remove_logo, methods=["POST"])
blp.add_url_rule("/workspace/state", "move_workspace", workspace.move, methods=["POST"])

blp.add_url_rule("/audit", "audit", audit.index)
blp.add_url_rule("/audit/export", "export_audit", audit.export)
blp.add_url_rule("/audit/subscribe", "subscribe_audit", audit.subscribe, methods=["POST"])
blp.add_url_rule("/audit/addresses", "list_audit_address", audit.list_address, methods=["POST"])
blp.add_url_rule("/audit/subscribers/<subscriber_id>/end", "unsubscribe_audit", audit.unsubscribe, methods=["POST"])
