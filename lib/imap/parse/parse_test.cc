#include "lib/imap/parse/parse.h"

#include <gtest/gtest.h>

#include "lib/base/failure.h"

namespace posthorn::imap {
namespace {

template <typename T>
T Parsed(std::string_view text) {
  absl::StatusOr<CommandBody> body = ParseCommand(text);
  EXPECT_TRUE(body.ok()) << text << ": " << body.status();
  if (!body.ok() || !std::holds_alternative<T>(*body)) {
    ADD_FAILURE() << text;
    return T();
  }
  return std::get<T>(*std::move(body));
}

Failure FailureIn(std::string_view text) {
  const absl::StatusOr<CommandBody> body = ParseCommand(text);
  return body.ok() ? Failure::kUnknown : FailureOf(body.status());
}

TEST(ParseTest, RefusesBrokenCommands) {
  const char* broken[] = {
      "NOOP x",
      "CAPABILITY x",
      "LOGIN a",
      "LOGIN a b c",
      "LOGIN \"a b",
      "AUTHENTICATE",
      "SELECT",
      "SELECT a b",
      "SELECT a ()",
      "SELECT a (CONDSTORE",
      "SELECT a (X)",
      "SELECT a (QRESYNC (1 2)",
      "SELECT a (QRESYNC (1 2) QRESYNC (1 2))",
      "SELECT a (QRESYNC (1 2 3 4))",
      "UID FETCH 1 UID (VANISHED)",
      "SEARCH MODSEQ",
      "SEARCH MODSEQ x",
      "SEARCH MODSEQ \"/flags/x\" 7",
      "SEARCH MODSEQ 9223372036854775808",
      "FETCH 1 UID (CHANGEDSINCE x)",
      "FETCH 1 UID (CHANGEDSINCE 1 CHANGEDSINCE 2)",
      "CREATE",
      "CREATE a (USE (\\Sent",
      "CREATE a (USE \\Sent)",
      "RENAME a",
      "LIST",
      "LIST \"\"",
      "LIST (FOO) \"\" *",
      "LIST \"\" * RETURN (FOO)",
      "LIST \"\" * RETURN (STATUS)",
      "LIST \"\" * RETURN (STATUS ())",
      "LIST (RECURSIVEMATCH) \"\" *",
      "LIST (SUBSCRIBED \"\" *",
      "LIST \"\" (a",
      "LSUB \"\" (a b)",
      "STATUS a",
      "STATUS a ()",
      "STATUS a (FOO)",
      "STATUS a (MESSAGES",
      "STORE 1 FLAGS",
      "STORE 1 FOO (\\Seen)",
      "STORE 1 FLAGS (\\Recent)",
      "STORE 1 FLAGS (\\Foo)",
      "STORE x FLAGS ()",
      "STORE 1 FLAGS (a",
      "COPY 1",
      "COPY 0 a",
      "COPY 1: a",
      "COPY $,1 a",
      "COPY 1,$ a",
      "COPY 1,, a",
      "MOVE",
      "FETCH 1",
      "FETCH 1 ()",
      "FETCH 1 FOO",
      "FETCH 1 (FLAGS",
      "FETCH 1 BODY[",
      "FETCH 1 BODY[0]",
      "FETCH 1 BODY[1.]",
      "FETCH 1 BODY[MIME]",
      "FETCH 1 BODY[]<1>",
      "FETCH 1 BODY[]<1.0>",
      "FETCH 1 BODY[HEADER.FIELDS]",
      "FETCH 1 BODY[HEADER.FIELDS ()]",
      "FETCH 1 BODY.PEEK",
      "FETCH 1 (ALL)",
      "FETCH 1 UID ()",
      "FETCH 1 UID (PARTIAL)",
      "FETCH 1 UID (PARTIAL 1:-1)",
      "FETCH 1 UID (PARTIAL 1:2",
      "FETCH 1 UID (NONSENSE)",
      "FETCH 4294967296 FLAGS",
      "UID",
      "UID NOOP",
      "UID FETCH",
      "EXPUNGE 1",
      "UID EXPUNGE",
      "SEARCH",
      "SEARCH FOO",
      "SEARCH (ALL",
      "SEARCH NOT",
      "SEARCH OR ALL",
      "SEARCH BEFORE x",
      "SEARCH LARGER x",
      "SEARCH OLDER 0",
      "SEARCH RETURN ALL",
      "SEARCH RETURN (ALL",
      "SEARCH RETURN (X) ALL",
      "SEARCH RETURN (ALL)ALL",
      "SEARCH YOUNGER",
      "SEARCH UIDAFTER",
      "SEARCH UIDAFTER 0",
      "SEARCH UIDBEFORE *",
      "SEARCH UIDBEFORE 4294967296",
      "SEARCH HEADER a",
      "SEARCH CHARSET",
      "SEARCH FROM",
      "SORT",
      "THREAD UTF-8 ALL",
      "THREAD REFERENCES UTF-8",
      "THREAD REFERENCES ALL",
      "SORT ()  UTF-8 ALL",
      "SORT (REVERSE) UTF-8 ALL",
      "SORT (SIZE) UTF-8",
      "SORT (SIZE UTF-8 ALL",
      "SORT (X) UTF-8 ALL",
      "SORT SIZE UTF-8 ALL",
      "ENABLE",
      "ENABLE (a)",
      "ID",
      "ID (",
      "ID (a b)",
      "ID (\"a\")",
      "APPEND a",
      "IDLE x",
      "",
  };
  for (const char* text : broken) {
    const Failure failure = FailureIn(text);
    EXPECT_TRUE(failure == Failure::kSyntax || failure == Failure::kUnknownCommand) << text;
  }
  EXPECT_EQ(FailureIn("UID NOOP"), Failure::kUnknownCommand);
  EXPECT_EQ(FailureIn("SELECT &x"), Failure::kMailboxNameInvalid);
  EXPECT_EQ(FailureIn("SEARCH CHARSET x-nonsense ALL"), Failure::kBadCharset);
  EXPECT_EQ(FailureIn("SEARCH CHARSET \"\" ALL"), Failure::kBadCharset);
  EXPECT_EQ(FailureIn("SEARCH TEXT \"\xff\""), Failure::kSyntax);
}

TEST(ParseTest, DepthAndNumberOfSearchKeysAreBounded) {
  std::string deep = "SEARCH ";
  for (int i = 0; i < 20000; ++i) deep += "(";
  EXPECT_EQ(FailureIn(deep), Failure::kSyntax);
  std::string nots = "SEARCH";
  for (int i = 0; i < 5000; ++i) nots += " NOT";
  EXPECT_EQ(FailureIn(nots + " ALL"), Failure::kSyntax);
  std::string many = "SEARCH";
  for (int i = 0; i < 5000; ++i) many += " ALL";
  EXPECT_EQ(FailureIn(many), Failure::kSyntax);
}

TEST(ParseTest, Login) {
  const LoginCommand command = Parsed<LoginCommand>("login \"a\\\\b\" {3}\r\nx y");
  EXPECT_EQ(command.user, "a\\b");
  EXPECT_EQ(command.password, "x y");
}

TEST(ParseTest, Authenticate) {
  EXPECT_EQ(Parsed<AuthenticateCommand>("AUTHENTICATE plain").mechanism, "PLAIN");
  EXPECT_FALSE(Parsed<AuthenticateCommand>("AUTHENTICATE plain").response.has_value());
  EXPECT_EQ(Parsed<AuthenticateCommand>("AUTHENTICATE PLAIN =").response, "=");
  EXPECT_EQ(Parsed<AuthenticateCommand>("AUTHENTICATE PLAIN AGE/+w==").response, "AGE/+w==");
}

TEST(ParseTest, Id) {
  EXPECT_TRUE(Parsed<IdCommand>("ID NIL").fields.empty());
  EXPECT_TRUE(Parsed<IdCommand>("ID ()").fields.empty());
  EXPECT_EQ(Parsed<IdCommand>("ID (\"a\" \"b\" \"c\" NIL)").fields.size(), 1u);
}

TEST(ParseTest, Enable) {
  EXPECT_EQ(Parsed<EnableCommand>("ENABLE condstore X-y=1 ").capabilities,
            (std::vector<std::string>{"CONDSTORE", "X-Y=1"}));
}

TEST(ParseTest, Mailboxes) {
  EXPECT_EQ(Parsed<SelectCommand>("SELECT inbox").mailbox, "INBOX");
  EXPECT_TRUE(Parsed<SelectCommand>("EXAMINE \"a b\"").read_only);
  EXPECT_EQ(Parsed<CreateCommand>("CREATE a/").mailbox, "a");
  EXPECT_EQ(Parsed<CreateCommand>("CREATE a (USE (\\sent))").special_use, "\\Sent");
  EXPECT_FALSE(Parsed<CreateCommand>("CREATE a (USE ())").use_not_supported);
  EXPECT_TRUE(Parsed<CreateCommand>("CREATE a (USE (\\Foo))").use_not_supported);
  EXPECT_TRUE(Parsed<CreateCommand>("CREATE a (USE (\\Sent \\Junk))").use_not_supported);
  EXPECT_EQ(Parsed<DeleteCommand>("DELETE &APw-").mailbox, "\xc3\xbc");
  EXPECT_EQ(Parsed<RenameCommand>("RENAME a b/c").to, "b/c");
  EXPECT_FALSE(Parsed<SubscribeCommand>("UNSUBSCRIBE a").subscribe);
}

TEST(ParseTest, List) {
  const ListCommand plain = Parsed<ListCommand>("LIST \"\" a%*");
  EXPECT_EQ(plain.patterns, std::vector<std::string>{"a%*"});
  const ListCommand extended =
      Parsed<ListCommand>("LIST (SUBSCRIBED SPECIAL-USE) \"\" (a b) RETURN (CHILDREN)");
  EXPECT_TRUE(extended.select_subscribed && extended.select_special_use &&
              extended.return_subscribed);
  EXPECT_EQ(extended.patterns.size(), 2u);
  EXPECT_TRUE(extended.extended && !plain.extended && !extended.recursive_match);
  EXPECT_TRUE(
      Parsed<ListCommand>("LIST (REMOTE RECURSIVEMATCH SUBSCRIBED) \"\" a").recursive_match);
  EXPECT_TRUE(Parsed<ListCommand>("LIST \"\" a RETURN ()").extended);
  EXPECT_EQ(Parsed<ListCommand>("LIST \"\" a RETURN (STATUS (SIZE) CHILDREN)").return_status,
            std::vector<StatusItem>{StatusItem::kSize});
  EXPECT_TRUE(Parsed<ListCommand>("LSUB \"\" *").lsub);
}

TEST(ParseTest, Status) {
  EXPECT_EQ(Parsed<StatusCommand>("STATUS a (UNSEEN messages SIZE UNSEEN APPENDLIMIT)").items,
            (std::vector<StatusItem>{StatusItem::kUnseen, StatusItem::kMessages, StatusItem::kSize,
                                     StatusItem::kAppendLimit}));
}

TEST(ParseTest, Store) {
  const StoreCommand add = Parsed<StoreCommand>("UID STORE 1:3,* +FLAGS.SILENT (\\Seen a A b)");
  EXPECT_TRUE(add.uid && add.silent);
  EXPECT_EQ(add.mode, StoreCommand::Mode::kAdd);
  EXPECT_EQ(add.flags.system, kSeen);
  EXPECT_EQ(add.flags.keywords, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(add.set.ranges, (std::vector<SequenceRange>{{1, 3}, {kStar, kStar}}));
  EXPECT_EQ(Parsed<StoreCommand>("STORE 1 -FLAGS \\Seen \\Draft").flags.system, kSeen | kDraft);
  EXPECT_EQ(Parsed<StoreCommand>("STORE 1 FLAGS ()").mode, StoreCommand::Mode::kSet);
}

TEST(ParseTest, CopyMoveExpunge) {
  EXPECT_TRUE(Parsed<CopyCommand>("UID MOVE 1 a").move);
  EXPECT_FALSE(Parsed<CopyCommand>("COPY 1 a").uid);
  EXPECT_TRUE(Parsed<ExpungeCommand>("UID EXPUNGE 1:*").uids.has_value());
  EXPECT_FALSE(Parsed<ExpungeCommand>("EXPUNGE").uids.has_value());
}

TEST(ParseTest, Fetch) {
  EXPECT_EQ(Parsed<FetchCommand>("FETCH 1 FULL").items.size(), 5u);
  EXPECT_EQ(Parsed<FetchCommand>("FETCH 1 ALL").items.size(), 4u);
  EXPECT_EQ(Parsed<FetchCommand>("FETCH 1 FAST").items.size(), 3u);
  const FetchCommand command = Parsed<FetchCommand>(
      "FETCH 1 (BODY[] BODY.PEEK[1.2.MIME] BODY[HEADER.FIELDS (a \"b c\")]<5.6> BODY "
      "BODYSTRUCTURE RFC822.SIZE rfc822 BODY[1.TEXT])");
  ASSERT_EQ(command.items.size(), 8u);
  EXPECT_EQ(command.items[0].kind, FetchItem::Kind::kBodySection);
  EXPECT_TRUE(command.items[1].peek);
  EXPECT_EQ(command.items[1].section.part, (std::vector<std::uint32_t>{1, 2}));
  EXPECT_EQ(command.items[1].section.text, Section::Text::kMime);
  EXPECT_EQ(command.items[2].section.fields, (std::vector<std::string>{"a", "b c"}));
  EXPECT_EQ(command.items[2].partial->offset, 5u);
  EXPECT_EQ(command.items[3].kind, FetchItem::Kind::kBody);
  EXPECT_EQ(command.items[6].kind, FetchItem::Kind::kRfc822);
}

TEST(ParseTest, FetchModifiers) {
  const FetchCommand command = Parsed<FetchCommand>("UID FETCH 1:* FAST (PARTIAL -1:-30)");
  EXPECT_EQ(command.items.size(), 3u);
  ASSERT_TRUE(command.partial.has_value());
  EXPECT_TRUE(command.partial->from_end);
  EXPECT_EQ(command.partial->first, 1u);
  EXPECT_EQ(command.partial->last, 30u);
  EXPECT_FALSE(Parsed<FetchCommand>("FETCH 1 (UID) ").partial.has_value());
}

TEST(ParseTest, Search) {
  const SearchCommand command = Parsed<SearchCommand>(
      "UID SEARCH CHARSET utf-8 UNSEEN OR (FROM \"a\" 1:2) NOT UID 3 SENTON 2-Jan-1970 "
      "UNKEYWORD k HEADER X-Y \"\"");
  EXPECT_TRUE(command.uid);
  const std::vector<SearchKey>& keys = command.key.children;
  ASSERT_EQ(keys.size(), 5u);
  EXPECT_EQ(keys[0].kind, SearchKey::Kind::kNot);
  EXPECT_EQ(keys[0].children[0].number, kSeen);
  EXPECT_EQ(keys[1].kind, SearchKey::Kind::kOr);
  EXPECT_EQ(keys[1].children[0].kind, SearchKey::Kind::kAnd);
  EXPECT_EQ(keys[1].children[1].children[0].kind, SearchKey::Kind::kUid);
  EXPECT_EQ(keys[2].days, 1);
  EXPECT_EQ(keys[3].children[0].text, "k");
  EXPECT_EQ(keys[4].name, "X-Y");
}

TEST(ParseTest, SearchReturn) {
  EXPECT_FALSE(Parsed<SearchCommand>("SEARCH ALL").returns.has_value());
  EXPECT_TRUE(Parsed<SearchCommand>("SEARCH RETURN () ALL").returns->all);
  const SearchReturn returns =
      *Parsed<SearchCommand>("UID SEARCH RETURN (count MIN MAX ) CHARSET UTF-8 ALL").returns;
  EXPECT_TRUE(returns.count && returns.min && returns.max && !returns.all && !returns.save);
  EXPECT_FALSE(Parsed<SearchCommand>("SEARCH RETURN (SAVE) ALL").returns->IsAnswered());
  EXPECT_TRUE(Parsed<SearchCommand>("SEARCH OR $ UID $").key.children[0].children[1].set.saved);
  EXPECT_TRUE(Parsed<CopyCommand>("COPY $ a").set.saved);
  EXPECT_EQ(Parsed<SearchCommand>("SEARCH RETURN (PARTIAL 9:7) ALL").returns->partial->first, 7u);
}

TEST(ParseTest, Sort) {
  const SortCommand command = Parsed<SortCommand>(
      "UID SORT RETURN (COUNT) (SUBJECT REVERSE displayfrom) KOI8-R SUBJECT \"\xf7\" SEEN");
  EXPECT_TRUE(command.uid && command.returns->count);
  ASSERT_EQ(command.order.size(), 2u);
  EXPECT_EQ(command.order[0].kind, SortKey::Kind::kSubject);
  EXPECT_TRUE(command.order[1].reverse);
  EXPECT_EQ(command.order[1].kind, SortKey::Kind::kDisplayFrom);
  EXPECT_EQ(command.key.children[0].text, "В");
  EXPECT_EQ(command.key.children.size(), 2u);
}

TEST(ParseTest, Condstore) {
  EXPECT_TRUE(Parsed<SelectCommand>("SELECT a (CONDSTORE)").condstore);
  EXPECT_FALSE(Parsed<SelectCommand>("EXAMINE a ").condstore);
  EXPECT_EQ(Parsed<StoreCommand>("STORE 1 (UNCHANGEDSINCE 0) FLAGS ()").unchanged_since, 0);
  EXPECT_FALSE(Parsed<StoreCommand>("STORE 1 FLAGS ()").unchanged_since.has_value());
  const FetchCommand fetch =
      Parsed<FetchCommand>("FETCH 1 (MODSEQ) (CHANGEDSINCE 9223372036854775807)");
  EXPECT_EQ(fetch.items[0].kind, FetchItem::Kind::kModSeq);
  EXPECT_EQ(fetch.changed_since, INT64_MAX);
  EXPECT_EQ(Parsed<SearchCommand>("SEARCH MODSEQ \"/flags/x\" shared 7").key.children[0].modseq, 7);
  EXPECT_EQ(Parsed<StatusCommand>("STATUS a (HIGHESTMODSEQ)").items[0], StatusItem::kHighestModSeq);
}

TEST(ParseTest, Qresync) {
  const SelectCommand command =
      Parsed<SelectCommand>("SELECT a (QRESYNC (67890007 90060115194045000 41:211,214 (1,3 2,4)))");
  EXPECT_EQ(command.resync->uid_validity, 67890007u);
  EXPECT_EQ(command.resync->modseq, 90060115194045000);
  EXPECT_EQ(command.resync->known_uids->ranges.size(), 2u);
  EXPECT_FALSE(Parsed<SelectCommand>("SELECT a (QRESYNC (1 2) CONDSTORE)").resync->known_uids);
  EXPECT_FALSE(Parsed<SelectCommand>("SELECT a (QRESYNC (1 2 (1 1)))").resync->known_uids);
  EXPECT_TRUE(Parsed<FetchCommand>("UID FETCH 1 UID (VANISHED CHANGEDSINCE 1)").vanished);
}

TEST(ParseTest, Thread) {
  EXPECT_EQ(Parsed<ThreadCommand>("THREAD references UTF-8 ALL").algorithm,
            ThreadCommand::Algorithm::kReferences);
  const ThreadCommand command = Parsed<ThreadCommand>("UID THREAD ORDEREDSUBJECT UTF-8 1:2 SEEN");
  EXPECT_TRUE(command.uid);
  EXPECT_EQ(command.algorithm, ThreadCommand::Algorithm::kOrderedSubject);
  EXPECT_EQ(command.key.children.size(), 2u);
}

TEST(ParseTest, SearchTextBecomesUtf8) {
  const std::pair<const char*, const char*> rows[] = {
      {"SEARCH CHARSET KOI8-R SUBJECT {4}\r\n\xf7\xc5\xd3\xd4", "Вест"},
      {"SEARCH CHARSET iso-8859-1 SUBJECT \"\xfc\"", "ü"},
      {"SEARCH CHARSET Shift_JIS SUBJECT {4}\r\n\x93\xfa\x96\x7b", "日本"},
      {"SEARCH CHARSET ISO-2022-JP SUBJECT {10}\r\n\x1b$BF|K\\\x1b(B", "日本"},
      {"SEARCH CHARSET US-ASCII SUBJECT a", "a"},
      {"SEARCH SUBJECT \"ü\"", "ü"},
  };
  for (const auto& [text, expected] : rows) {
    EXPECT_EQ(Parsed<SearchCommand>(text).key.children[0].text, expected) << text;
  }
}

TEST(ParseTest, TrailingSpaceIsForgiven) { Parsed<NoopCommand>("NOOP "); }

}  // namespace
}  // namespace posthorn::imap
