"""A tenant never sees another tenant's data: over every protocol and every internal RPC, what
belongs to another reads as not found."""

import tempfile
import unittest
import uuid

import grpc

from tests.support.dns_server import DnsServer
from tests.support.platform import SplitPlatform, make_internal_tls, test_message
from tests.support.processes import wait_until
from tests.support.send_client import Send

from posthorn.directory.v1 import directory_pb2, directory_pb2_grpc
from posthorn.mailbox.v1 import mailbox_pb2, mailbox_pb2_grpc
from posthorn.queue.v1 import queue_pb2, queue_pb2_grpc


class IsolationTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dns = DnsServer(["waits.example. IN MX 10 mx.waits.example.",
                             "mx.waits.example. IN A 127.0.0.78"]).start()
        cls.platform = SplitPlatform(dns=cls.dns).start()
        cls.platform.ctl("tenant", "add", "rival")
        cls.platform.ctl("domain", "add", "--tenant", "rival", "rival.test")
        cls.platform.add_account("eve@rival.test", "eve-secret")
        cls.platform.submit("alice@example.test", ["bob@example.test"], test_message("private"))
        token = open(cls.platform.service_token).read().strip()
        cls.metadata = [("authorization", f"Bearer {token}")]
        mailbox = cls.channel("mailbox", *cls.internal_files())
        queue = cls.channel("queue", *cls.internal_files())
        cls.mailboxes = mailbox_pb2_grpc.MailboxesStub(mailbox)
        cls.directory = directory_pb2_grpc.DirectoryStub(mailbox)
        cls.queue = queue_pb2_grpc.QueueStub(queue)
        cls.bob = cls.login("bob@example.test", "bob-secret")
        cls.eve = cls.login("eve@rival.test", "eve-secret")
        # A tenant's number with an account of another: what a confused or hostile caller has.
        cls.stolen = mailbox_pb2.AccountRef(tenant_id=cls.eve.tenant_id,
                                            account_id=cls.bob.account_id)

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()
        cls.dns.stop()

    @classmethod
    def internal_files(cls):
        files = []
        for key in ("ca_file", "key_file", "certificate_file"):
            with open(cls.platform.internal_tls[key], "rb") as file:
                files.append(file.read())
        return files

    @classmethod
    def channel(cls, service, ca=None, key=None, certificate=None):
        """To a service of the platform, as another service would connect."""
        address = f"127.0.0.1:{cls.platform.internal[service][0]}"
        if ca is None:
            return grpc.insecure_channel(address)
        credentials = grpc.ssl_channel_credentials(ca, key, certificate)
        return grpc.secure_channel(
            address, credentials,
            options=[("grpc.ssl_target_name_override", "posthorn.internal")])

    @classmethod
    def login(cls, login, password):
        return cls.directory.Authenticate(
            directory_pb2.AuthenticateRequest(login=login, password=password, service="test"),
            metadata=cls.metadata, timeout=30)

    def assert_not_found(self, call, request, stream=False):
        with self.assertRaises(grpc.RpcError) as caught:
            answer = call(request, metadata=self.metadata, timeout=30)
            if stream:
                list(answer)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
        return caught.exception.details()

    def test_the_accounts_themselves_differ(self):
        self.assertNotEqual(self.bob.tenant_id, self.eve.tenant_id)

    def test_mailbox_rpcs_do_not_find_another_tenants_account(self):
        own = mailbox_pb2.AccountRef(tenant_id=self.bob.tenant_id, account_id=self.bob.account_id)
        inbox = self.mailboxes.GetMailbox(
            mailbox_pb2.GetMailboxRequest(account=own, name="INBOX"), metadata=self.metadata,
            timeout=30).mailbox
        before = self.platform.messages("bob@example.test")
        self.assertGreaterEqual(len(before), 1)
        ranges = [mailbox_pb2.UidRange(first=1, last=4294967295)]
        m, s = self.mailboxes, self.stolen
        ref = dict(account=s, mailbox_id=inbox.mailbox_id)
        seen = mailbox_pb2.Flags(system=1)
        for name, call, request, stream in (
                ("ListMailboxes", m.ListMailboxes, mailbox_pb2.ListMailboxesRequest(account=s), False),
                ("CreateMailbox", m.CreateMailbox,
                 mailbox_pb2.CreateMailboxRequest(account=s, name="X"), False),
                ("DeleteMailbox", m.DeleteMailbox,
                 mailbox_pb2.DeleteMailboxRequest(account=s, name="Drafts"), False),
                ("RenameMailbox", m.RenameMailbox,
                 mailbox_pb2.RenameMailboxRequest(account=s, **{"from": "Drafts", "to": "Y"}), False),
                ("Subscribe", m.Subscribe,
                 mailbox_pb2.SubscribeRequest(account=s, name="Z", subscribed=True), False),
                ("GetMailbox", m.GetMailbox,
                 mailbox_pb2.GetMailboxRequest(account=s, name="INBOX"), False),
                ("OpenMailbox", m.OpenMailbox,
                 mailbox_pb2.OpenMailboxRequest(account=s, name="INBOX"), True),
                ("GetChanges", m.GetChanges, mailbox_pb2.GetChangesRequest(**ref), False),
                ("Fetch", m.Fetch,
                 mailbox_pb2.FetchRequest(**ref, uids=ranges, body=True), True),
                ("ReadMessage", m.ReadMessage, mailbox_pb2.ReadMessageRequest(**ref, uid=1), True),
                ("StoreFlags", m.StoreFlags,
                 mailbox_pb2.StoreFlagsRequest(**ref, uids=ranges, mode=2, flags=seen), False),
                ("Append", m.Append,
                 mailbox_pb2.AppendRequest(account=s, mailbox="INBOX", inline_body=b"x"), False),
                ("Replace", m.Replace, mailbox_pb2.ReplaceRequest(
                    account=s, mailbox="INBOX", message=mailbox_pb2.NewMessage(inline_body=b"x"),
                    replaced_mailbox_id=inbox.mailbox_id, replaced_uid=1), False),
                ("GetQuota", m.GetQuota, mailbox_pb2.GetQuotaRequest(account=s), False),
                ("Fetch of ids and previews", m.Fetch,
                 mailbox_pb2.FetchRequest(**ref, uids=ranges, ids=True, preview=2), True),
                ("CopyMessages", m.CopyMessages,
                 mailbox_pb2.CopyMessagesRequest(**ref, uids=ranges, destination="Trash"), False),
                ("Expunge", m.Expunge, mailbox_pb2.ExpungeRequest(**ref, uids=ranges), False),
                ("Search", m.Search, mailbox_pb2.SearchRequest(
                    **ref, uids=ranges, key=mailbox_pb2.SearchKey(text="private")), False),
                ("AcquirePopLock", m.AcquirePopLock, mailbox_pb2.AcquirePopLockRequest(
                    account=s, holder=b"0" * 16, lease_seconds=5), False)):
            with self.subTest(name):
                self.assert_not_found(call, request, stream)
        # Nothing happened to bob.
        self.assertEqual(self.platform.messages("bob@example.test")[:len(before)], before)

    def test_not_found_and_not_yours_read_identically(self):
        missing = mailbox_pb2.AccountRef(tenant_id=self.eve.tenant_id, account_id=999_999_999)
        answers = {self.assert_not_found(self.mailboxes.GetMailbox,
                                         mailbox_pb2.GetMailboxRequest(account=ref, name="INBOX"))
                   for ref in (self.stolen, missing)}
        self.assertEqual(len(answers), 1)

    def test_the_queue_does_not_show_another_tenants_message(self):
        self.platform.submit("alice@example.test", ["x@waits.example"],
                             test_message("queued"))
        listed = self.platform.ctl("queue", "list", "--json")
        identifier = uuid.UUID(listed[0]["message_id"]).bytes
        self.assert_not_found(self.queue.GetMessage, queue_pb2.GetMessageRequest(
            tenant_id=self.eve.tenant_id, message_id=identifier))
        answer = self.queue.CancelMessages(queue_pb2.CancelMessagesRequest(
            filter=queue_pb2.MessageFilter(tenant_id=self.eve.tenant_id, message_id=identifier)),
            metadata=self.metadata, timeout=30)
        self.assertEqual(answer.recipients, 0)

    def test_no_rpc_answers_without_a_credential(self):
        for call, request in (
                (self.mailboxes.ListMailboxes, mailbox_pb2.ListMailboxesRequest()),
                (self.directory.Resolve, directory_pb2.ResolveRequest(address="bob@example.test")),
                (self.queue.ListMessages, queue_pb2.ListMessagesRequest())):
            for metadata in ([], [("authorization", "Bearer wrong")]):
                with self.assertRaises(grpc.RpcError) as caught:
                    call(request, metadata=metadata, timeout=30)
                self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAUTHENTICATED)

    def test_services_hear_only_who_has_a_certificate_of_their_ca(self):
        ca, key, certificate = self.internal_files()
        with tempfile.TemporaryDirectory() as directory:
            other = make_internal_tls(directory)
            with open(other["key_file"], "rb") as file:
                other_key = file.read()
            with open(other["certificate_file"], "rb") as file:
                other_certificate = file.read()
        request = queue_pb2.ListMessagesRequest()
        for name, heard, files in (("theirs", True, (ca, key, certificate)),
                                   ("clear text", False, ()),
                                   ("no certificate", False, (ca,)),
                                   ("of another CA", False, (ca, other_key, other_certificate))):
            with self.subTest(name), self.channel("queue", *files) as channel:
                call = queue_pb2_grpc.QueueStub(channel).ListMessages
                if heard:
                    call(request, metadata=self.metadata, timeout=30)
                    continue
                with self.assertRaises(grpc.RpcError) as caught:
                    call(request, metadata=self.metadata, timeout=30)
                self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)

    def test_over_imap_and_pop3_each_sees_only_its_own(self):
        self.assertEqual(self.platform.messages("eve@rival.test"), [])
        client = self.platform.pop3("eve@rival.test")
        self.assertEqual(client.stat()[0], 0)
        client.quit()
        client = self.platform.imap("eve@rival.test")
        for name in ("bob@example.test", "../bob@example.test/INBOX", "user/bob"):
            self.assertEqual(client.select(f'"{name}"')[0], "NO")
        client.logout()

    def test_a_key_sends_only_from_its_own_tenants_domains(self):
        key = self.platform.ctl("key", "add", "--tenant", "rival", "--description", "x",
                                "--json")["secret"]
        with self.assertRaises(grpc.RpcError) as caught:
            Send(self.platform.ports().api, key)("alice@example.test", ["eve@rival.test"],
                                                 test_message("forged").encode())
        self.assertEqual(caught.exception.code(), grpc.StatusCode.PERMISSION_DENIED)

    def test_mail_between_tenants_arrives(self):
        self.platform.submit("alice@example.test", ["eve@rival.test", "bob@example.test"],
                             test_message("between tenants"))
        wait_until(lambda: any(b"between tenants" in m for m in
                               self.platform.messages("eve@rival.test")), 30, "arrival at eve")
        # Leave the mailbox as the other tests expect it.
        client = self.platform.imap("eve@rival.test")
        client.select("INBOX")
        client.store("1:*", "+FLAGS", r"\Deleted")
        client.expunge()
        client.logout()


if __name__ == "__main__":
    unittest.main()
