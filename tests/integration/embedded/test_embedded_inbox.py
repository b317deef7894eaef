import asyncio
import contextlib
import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import pytest

from saas.kernel.clock import SystemClock
from saas.platform.embedded.inbox.client import InboxClient
from saas.platform.embedded.inbox.receiver import GroupCommit, Receiver, protocol
from saas.platform.embedded.inbox.store import Store

pytestmark = pytest.mark.integration
REPO = Path(__file__).parents[3]
ANY_PORT = ("--smtp-port", "0", "--web-port", "0")


@dataclass
class Inbox:
    process: subprocess.Popen
    smtp_port: int
    url: str

    @property
    def client(self):
        return InboxClient(self.url)

    def smtp(self):
        return smtplib.SMTP("127.0.0.1", self.smtp_port, local_hostname="test", timeout=60)

    def get(self, path, **headers):
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return answer.read().decode(), answer.headers


@contextlib.contextmanager
def running(directory, *options):
    process = subprocess.Popen(
        [sys.executable, "-m", "saas.platform.embedded.inbox", *ANY_PORT, "--dir", str(directory), *options],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        told = json.loads(process.stdout.readline() or "{}")
        assert told, process.stderr.read()
        yield Inbox(process, told["smtp_port"], f"http://127.0.0.1:{told['web_port']}")
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def inbox(tmp_path):
    with running(tmp_path / "inbox") as started:
        yield started


def mail(number, *, to="person@example.com", subject=None):
    message = EmailMessage()
    message["From"] = "news@example.com"
    message["To"] = to
    message["Subject"] = subject or f"Message {number}"
    message["Message-ID"] = f"<{number}@example.com>"
    message["X-Campaign-Id"] = "cam_1"
    message.set_content(f"Dear you, see http://127.0.0.1:8000/invitations/{number}.\n.a line with a dot\n")
    message.add_alternative(f'<p>Dear you <a href="https://shop.example/{number}">shop</a></p>', subtype="html")
    return message


def send(inbox, *messages):
    with inbox.smtp() as connection:
        for message in messages:
            connection.send_message(message)


def test_a_message_is_kept_exactly_and_read_back(inbox):
    before = SystemClock().now()
    sent = mail(1, subject="Grüße aus Köln ☃ and a subject long enough to be folded over two lines, as mailers do it")
    content = sent.as_bytes(policy=sent.policy.clone(linesep="\r\n"))
    assert b"\r\n.a line" in content  # SMTP doubles that dot on the way
    with inbox.smtp() as connection:
        connection.sendmail("news@example.com", ["person@example.com"], content)
    summary = inbox.client.wait_for(to="PERSON@example.com", subject="köln", timeout_s=60)
    assert summary.id == 1
    assert summary.subject == sent["Subject"]
    assert (summary.mail_from, summary.rcpt_to) == ("news@example.com", ("person@example.com",))
    assert (summary.message_id, summary.headers_campaign) == ("<1@example.com>", "cam_1")
    assert before <= summary.received_at <= SystemClock().now()
    assert summary.received_at.utcoffset().total_seconds() == 0
    raw = inbox.client.raw(1)
    assert raw == content
    message = inbox.client.message(1)
    assert message.raw_size == len(raw)
    assert message.header("subject") == sent["Subject"]
    assert message.text == "Dear you, see http://127.0.0.1:8000/invitations/1.\n.a line with a dot\n"
    assert "https://shop.example/1" in message.html
    assert inbox.client.stats() == {"messages": 1, "distinct_message_ids": 1}


def test_what_it_offers(inbox):
    with inbox.smtp() as connection:
        connection.ehlo()
        assert connection.esmtp_features["size"] == str(20 * 1024 * 1024)
        assert {"8bitmime", "smtputf8"} <= set(connection.esmtp_features)
        assert not connection.has_extn("auth")


def test_utf8_addresses_and_headers(inbox):
    message = mail(1, to="jürgen@bücher.example", subject="你好")
    message.replace_header("From", "grüße@example.com")
    send(inbox, message)
    summary = inbox.client.wait_for(to="JÜRGEN@bücher.example", timeout_s=60)
    assert summary.mail_from == "grüße@example.com"
    assert summary.subject == "你好"
    assert "你好".encode() in inbox.client.raw(summary.id)


def test_bounces_come_from_nobody(inbox):
    with inbox.smtp() as connection:
        connection.sendmail("", ["person@example.com"], "Subject: Undelivered\r\n\r\nx")
    assert next(inbox.client.messages()).mail_from == ""


def test_too_large_a_message_is_refused_and_the_connection_goes_on(inbox):
    with inbox.smtp() as connection:
        connection.ehlo()
        assert connection.docmd("MAIL FROM:<a@example.com> SIZE=20971521")[0] == 552
        connection.sendmail("a@example.com", ["b@example.com"], "Subject: small\r\n\r\nx")
    assert inbox.client.stats()["messages"] == 1


def test_messages_from_several_connections_all_arrive_and_pages_join_without_gap(inbox):
    with inbox.smtp() as first:
        for number in range(1200):
            first.sendmail("a@example.com", [f"p{number % 2}@example.com"], f"Message-ID: <{number}@x>\r\n\r\n.")
    threads = [threading.Thread(target=send, args=(inbox, *map(mail, range(20)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inbox.client.stats() == {"messages": 1280, "distinct_message_ids": 1220}
    found = list(inbox.client.messages())
    assert [summary.id for summary in found] == list(range(1, 1281))
    assert [summary.received_at for summary in found] == sorted(summary.received_at for summary in found)
    assert len(list(inbox.client.messages(to="p1@example.com"))) == 600
    assert len(list(inbox.client.messages(subject="message 19"))) == 4
    page = json.loads(inbox.get("/api/messages?after=10&limit=3&to=p0@example.com")[0])
    assert [row["id"] for row in page["data"]] == [11, 13, 15]
    assert page["next_cursor"] == "15"
    assert json.loads(inbox.get("/api/messages?after=1279&limit=1")[0])["next_cursor"] is None
    for words in ("limit=0", "limit=1001", "limit=x", "after=-1"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            inbox.get(f"/api/messages?{words}")
        assert refused.value.code == 400
        refused.value.close()


def test_waiting_ends(inbox):
    with pytest.raises(TimeoutError, match=r"person@example\.com"):
        inbox.client.wait_for(to="person@example.com", timeout_s=0.1)


def test_clearing(inbox):
    send(inbox, mail(1), mail(2))
    inbox.client.clear()
    assert list(inbox.client.messages()) == []
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        inbox.client.message(1)
    refused.value.close()
    send(inbox, mail(3))
    assert [summary.id for summary in inbox.client.messages()] == [3]


def test_kill_9_loses_no_message_that_was_answered_and_a_torn_record_is_cut(tmp_path):
    answered = []
    with running(tmp_path) as inbox:

        def deliver(name):
            with contextlib.suppress(smtplib.SMTPException, OSError), inbox.smtp() as connection:
                for number in range(10_000):
                    connection.send_message(mail(f"{name}-{number}"))
                    answered.append(f"<{name}-{number}@example.com>")

        threads = [threading.Thread(target=deliver, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 60
        while len(answered) <= 20 and time.monotonic() < until:
            time.sleep(0.01)
        inbox.process.kill()
        for thread in threads:
            thread.join()
    assert len(answered) > 20
    with (tmp_path / "messages.log").open("ab") as file:
        file.write((tmp_path / "messages.log").read_bytes()[:60])
    with running(tmp_path) as inbox:
        kept = [summary.message_id for summary in inbox.client.messages()]
        assert set(answered) <= set(kept)
        assert len(kept) == len(set(kept)) <= len(answered) + 3
        send(inbox, mail("after"))
        assert list(inbox.client.messages())[-1].message_id == "<after@example.com>"
        assert b"after" in inbox.client.raw(len(kept) + 1)


def test_sign_in_is_required_when_a_login_is_given(tmp_path):
    with running(tmp_path, "--user", "csn", "--password", "pä ss") as inbox:
        with inbox.smtp() as connection, pytest.raises(smtplib.SMTPSenderRefused, match="Authentication required"):
            connection.send_message(mail(1))
        for method in ("auth_plain", "auth_login"):
            with inbox.smtp() as connection:
                connection.ehlo()
                assert set(connection.esmtp_features["auth"].split()) == {"LOGIN", "PLAIN"}
                connection.user, connection.password = "csn", "wrong"
                with pytest.raises(smtplib.SMTPAuthenticationError):
                    connection.auth(method[5:].upper(), getattr(connection, method))
        with inbox.smtp() as connection:
            connection.ehlo()
            word = "AGNzbgBww6Qgc3M="  # base64 of NUL csn NUL "pä ss"
            assert connection.docmd(f"AUTH PLAIN {word}")[0] == 235
            connection.send_message(mail(1))
        with inbox.smtp() as connection:
            connection.ehlo()
            assert connection.docmd("AUTH LOGIN")[0] == 334
            assert connection.docmd("Y3Nu")[0] == 334
            assert connection.docmd("cMOkIHNz")[0] == 235
            connection.send_message(mail(2))
        assert inbox.client.stats()["messages"] == 2


def test_it_stops_cleanly_with_connections_open_and_frees_its_ports(tmp_path):
    for by in (signal.SIGTERM, signal.SIGINT):
        with running(tmp_path) as inbox, contextlib.closing(inbox.smtp()) as connection:
            connection.ehlo()
            inbox.process.send_signal(by)
            assert inbox.process.wait(10) == 0
            assert inbox.process.stderr.read() == ""
            with socket.socket() as again:
                again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                again.bind(("127.0.0.1", inbox.smtp_port))


def test_a_second_inbox_and_a_taken_port_are_told(tmp_path):
    with running(tmp_path) as inbox:
        command = [sys.executable, "-m", "saas.platform.embedded.inbox", "--web-port", "0", "--smtp-port"]
        taken = subprocess.run(
            [*command, str(inbox.smtp_port), "--dir", str(tmp_path / "other")],
            cwd=REPO,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (taken.returncode, f"Port {inbox.smtp_port} on 127.0.0.1 cannot be used" in taken.stderr) == (1, True)
        second = subprocess.run(
            [*command, "0", "--dir", str(tmp_path)], cwd=REPO, capture_output=True, text=True, check=False
        )
        assert (second.returncode, "Another inbox uses" in second.stderr) == (1, True)


def test_pages_for_people(inbox):
    send(inbox, *(mail(number) for number in range(1, 61)), mail(61, subject="<script>alert(1)</script>"))
    page, headers = inbox.get("/")
    assert page.index("/messages/61") < page.index("/messages/60")
    assert "/messages/12" in page
    assert '/messages/11"' not in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert '/messages/11"' in inbox.get("/?before=12")[0]
    found = inbox.get("/?q=message+7")[0]
    assert '/messages/7"' in found
    assert '/messages/8"' not in found
    assert '/messages/60"' in inbox.get("/?q=person@exam")[0]
    assert "No message mentions" in inbox.get("/?q=nobody")[0]
    message = inbox.get("/messages/7")[0]
    assert '<a href="http://127.0.0.1:8000/invitations/7" rel="noreferrer noopener">' in message
    assert '<a href="https://shop.example/7" rel="noreferrer noopener">' in message
    assert "<iframe sandbox " in message
    part, headers = inbox.get("/messages/7/html")
    assert part.startswith("<p>Dear you")
    assert headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    source, headers = inbox.get("/messages/7/source")
    assert headers["Content-Type"].startswith("text/plain")
    assert "Message-ID: <7@example.com>" in source
    assert inbox.get("/api/messages/7/raw")[1]["Content-Type"] == "message/rfc822"
    assert inbox.get("/static/inbox.css")[1]["Content-Type"].startswith("text/css")


def test_pages_answer_only_to_their_own_name(inbox):
    with pytest.raises(urllib.error.HTTPError, match="400") as refused:
        inbox.get("/", Host="rebound.example")
    refused.value.close()


class InProcess:
    """Receiver and store in a thread of this process, so that a test can hold its fsync."""

    def __init__(self, directory):
        self.store = Store(directory)
        self.loop = asyncio.new_event_loop()
        self.port = None
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self.serve(),))
        self.thread.start()
        assert self.ready.wait(60)

    async def serve(self):
        self.stop = asyncio.Event()
        self.commit = GroupCommit(self.store)
        receiver = Receiver(self.commit, clock=SystemClock())
        server = await self.loop.create_server(protocol(receiver, login=None), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        await self.stop.wait()
        server.close()

    def close(self):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()
        self.loop.run_until_complete(asyncio.sleep(0.05))
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        self.store.close()


def test_250_comes_only_after_the_bytes_are_synced_and_those_who_wait_share_a_sync(tmp_path, monkeypatch):
    synced_sizes = []
    is_syncing, may_sync = threading.Event(), threading.Event()
    fsync = os.fsync

    def held(file):
        is_syncing.set()
        assert may_sync.wait(60)
        synced_sizes.append(os.fstat(file).st_size)
        fsync(file)

    monkeypatch.setattr(os, "fsync", held)
    inbox = InProcess(tmp_path)
    answers = []

    def deliver(number):
        with smtplib.SMTP("127.0.0.1", inbox.port, local_hostname="test", timeout=60) as connection:
            connection.send_message(mail(number))
            answers.append((number, len(synced_sizes)))

    senders = [threading.Thread(target=deliver, args=(number,)) for number in range(6)]
    try:
        senders[0].start()
        assert is_syncing.wait(60)
        for sender in senders[1:]:
            sender.start()
        until = time.monotonic() + 60
        while len(inbox.commit._waiting) < 5 and time.monotonic() < until:
            time.sleep(0.01)
        assert answers == []
        assert inbox.store.stats().messages == 0
        may_sync.set()
        for sender in senders:
            sender.join()
    finally:
        may_sync.set()
        inbox.close()
    assert len(answers) == 6
    assert all(syncs >= 1 for _, syncs in answers)
    assert len(synced_sizes) == 2
    assert 0 < synced_sizes[0] < synced_sizes[1] == (tmp_path / "messages.log").stat().st_size


def test_a_full_disk_is_answered_with_try_again_and_nothing_is_kept(tmp_path, monkeypatch):
    inbox = InProcess(tmp_path)
    fsync = os.fsync

    def full(file):
        raise OSError(28, "No space left on device")

    try:
        with smtplib.SMTP("127.0.0.1", inbox.port, local_hostname="test", timeout=60) as connection:
            monkeypatch.setattr(os, "fsync", full)
            with pytest.raises(smtplib.SMTPDataError) as refused:
                connection.send_message(mail(1))
            assert refused.value.smtp_code == 452
            monkeypatch.setattr(os, "fsync", fsync)
            connection.send_message(mail(2))
        assert [summary.message_id for summary in inbox.store.after(0)] == ["<2@example.com>"]
    finally:
        inbox.close()
