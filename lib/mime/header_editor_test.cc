#include "lib/mime/header_editor.h"

#include <gtest/gtest.h>

#include <string>

namespace posthorn::mime {
namespace {

std::string Edit(const HeaderEdits& edits, const std::string& message, std::size_t chunk) {
  HeaderEditor editor(edits);
  std::string out;
  for (std::size_t i = 0; i < message.size(); i += chunk) {
    editor.Feed(std::string_view(message).substr(i, chunk), out);
  }
  editor.Finish(out);
  return out;
}

struct Row {
  const char* name;
  std::string message;
  std::string edited;
  bool no_header = false;
};

const std::string kSpaces(1500, ' ');

// "bcc" goes, "Date: d" comes.
const Row kRows[] = {
    {"plain", "Subject: x\r\n\r\nbody\r\n", "Subject: x\r\nDate: d\r\n\r\nbody\r\n"},
    {"first", "Bcc: a@b\r\nSubject: x\r\n\r\nbody\r\n", "Subject: x\r\nDate: d\r\n\r\nbody\r\n"},
    {"last", "Subject: x\r\nBCC: a@b\r\n\r\n", "Subject: x\r\nDate: d\r\n\r\n"},
    {"folded", "bcc: a@b,\r\n\tc@d,\r\n  \r\n e@f\r\nTo: x\r\n\r\n", "To: x\r\nDate: d\r\n\r\n"},
    {"space before the colon", "Bcc \t: a@b\r\nTo: x\r\n\r\n", "To: x\r\nDate: d\r\n\r\n"},
    {"much space before the colon", "Bcc" + kSpaces + ": a@b\r\nTo: x\r\n\r\n",
     "To: x\r\nDate: d\r\n\r\n"},
    {"all of them", "Bcc: a\r\nTo: x\r\nBcc: b\r\nBcc:\r\n\r\n", "To: x\r\nDate: d\r\n\r\n"},
    {"only that", "Bcc: a\r\n\r\nbody", "Date: d\r\n\r\nbody"},
    {"similar names", "Bcc-X: a\r\nXBcc: b\r\nBc: c\r\n\r\n",
     "Bcc-X: a\r\nXBcc: b\r\nBc: c\r\nDate: d\r\n\r\n"},
    {"in the body", "To: x\r\n\r\nBcc: a\r\n", "To: x\r\nDate: d\r\n\r\nBcc: a\r\n"},
    {"no header", "\r\nBcc: a\r\n", "Date: d\r\n\r\nBcc: a\r\n"},
    {"no body", "To: x\r\n", "To: x\r\nDate: d\r\n"},
    {"no line end", "To: x", "To: x\r\nDate: d\r\n"},
    {"removed without line end", "To: x\r\nBcc: a", "To: x\r\nDate: d\r\n"},
    {"half a blank line", "To: x\r\n\r", "To: x\r\nDate: d\r\n\r"},
    {"nothing", "", "Date: d\r\n"},
    {"no field at all", "Hello\r\nthere\r\n", "Date: d\r\n\r\nHello\r\nthere\r\n", true},
    {"words before a colon", "Hello you: there\r\n", "Date: d\r\n\r\nHello you: there\r\n", true},
    {"text, then a field", "Hello\r\nTo: x\r\n\r\n", "Date: d\r\nHello\r\nTo: x\r\n\r\n"},
    {"no header", "\r\nHello\r\n", "Date: d\r\n\r\nHello\r\n", true},
    {"a line that is none", "To: x\r\nHello\r\nBcc: a\r\nX: y\r\n\r\nz",
     "To: x\r\nDate: d\r\nHello\r\nX: y\r\n\r\nz"},
    {"from a mailbox file", "From a@b Mon Jan 1\r\nTo: x\r\n\r\n",
     "From a@b Mon Jan 1\r\nTo: x\r\nDate: d\r\n\r\n"},
    {"a fold that continues nothing", " x\r\nTo: y\r\n\r\n", "Date: d\r\n x\r\nTo: y\r\n\r\n"},
    {"line feeds alone", "To: x\nBcc: a\n b\n\nbody\n", "To: x\nDate: d\r\n\nbody\n"},
    {"8-bit and NUL", std::string("S\xff: \0\xc3\r\nTo: \0\r\n\r\n\xff", 19),
     std::string("Date: d\r\nS\xff: \0\xc3\r\nTo: \0\r\n\r\n\xff", 28)},
    {"long line", "X: " + std::string(5000, 'a') + "\r\nBcc: " + std::string(5000, 'b') + "\r\n\r\n",
     "X: " + std::string(5000, 'a') + "\r\nDate: d\r\n\r\n"},
};

TEST(HeaderEditorTest, EditsAtEveryChunkSize) {
  HeaderEdits edits;
  edits.removed = {"bcc"};
  edits.added = "Date: d\r\n";
  for (const Row& row : kRows) {
    edits.no_header = row.no_header;
    for (std::size_t chunk = 1; chunk <= row.message.size() + 1; ++chunk) {
      ASSERT_EQ(Edit(edits, row.message, chunk), row.edited) << row.name << " by " << chunk;
      if (row.message.size() > 2000 && chunk > 20) chunk += 997;
    }
  }
}

TEST(HeaderEditorTest, ChangesNothingUnasked) {
  for (const Row& row : kRows) {
    for (const std::size_t chunk : {std::size_t{1}, std::size_t{3}, row.message.size() + 1}) {
      EXPECT_EQ(Edit(HeaderEdits(), row.message, chunk), row.message) << row.name;
    }
  }
}

}  // namespace
}  // namespace posthorn::mime
