"""Message step, channel webhook: the same work as email's; the channel's adapter differs."""

from dataclasses import replace

from saas.campaigns.steps import webhook_message
from saas.journeys.steps import email

WORK = replace(email.WORK, name=webhook_message.KIND)
