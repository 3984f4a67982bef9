#include "lib/mime/structure.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/mime/content_fields.h"
#include "lib/mime/scanner.h"

namespace posthorn::mime {
namespace {

Message Sample() {
  return Scan(
      "From: Joe <a@b>, G: c@d;\r\nTo: <@r:x@y>\r\nSubject: s\r\nMIME-Version: 1.0\r\n"
      "Content-Type: multipart/mixed; boundary=\"b b\"\r\n\r\n"
      "--b b\r\nContent-Type: text/html; charset=utf-8\r\nContent-ID: <i>\r\n"
      "Content-Description: d\r\nContent-MD5: m\r\nContent-Disposition: attachment; filename=f\r\n"
      "Content-Language: de, en\r\nContent-Location: l\r\n"
      "Content-Transfer-Encoding: quoted-printable\r\n\r\none\r\n"
      "--b b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntwo\r\n--b b--\r\n");
}

TEST(StructureTest, SurvivesSerialisation) {
  const Message message = Sample();
  const std::string bytes = SerialiseStructure(message.structure);
  const absl::StatusOr<Structure> back = ParseStructure(bytes);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, message.structure);
  const Part& part = back->root.parts[0];
  EXPECT_EQ(part.id, "<i>");
  EXPECT_EQ(part.description, "d");
  EXPECT_EQ(part.md5, "m");
  EXPECT_EQ(part.disposition, "attachment");
  EXPECT_EQ(part.disposition_params, (std::vector<Parameter>{{"filename", "f"}}));
  EXPECT_EQ(part.language, (std::vector<std::string>{"de", "en"}));
  EXPECT_EQ(part.location, "l");
  EXPECT_EQ(part.encoding, "quoted-printable");
  EXPECT_EQ(bytes[0], kStructureVersion);

  const absl::StatusOr<Envelope> envelope = ParseEnvelope(SerialiseEnvelope(message.envelope));
  ASSERT_TRUE(envelope.ok()) << envelope.status();
  EXPECT_EQ(*envelope, message.envelope);
  EXPECT_EQ(envelope->from.size(), 4u);
}

TEST(StructureTest, RefusesCorruptBytes) {
  const Message message = Sample();
  const std::string structure = SerialiseStructure(message.structure);
  const std::string envelope = SerialiseEnvelope(message.envelope);
  for (std::size_t size = 0; size < structure.size(); ++size) {
    EXPECT_FALSE(ParseStructure(std::string_view(structure).substr(0, size)).ok()) << size;
  }
  for (std::size_t size = 0; size < envelope.size(); ++size) {
    EXPECT_FALSE(ParseEnvelope(std::string_view(envelope).substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(ParseStructure(structure + "x").ok());
  // Any octet changed: refused or read as something else, never worse.
  for (std::size_t i = 0; i < structure.size(); ++i) {
    for (const char c : {'\x00', '\x01', '\x7f', '\x80', '\xff'}) {
      std::string changed = structure;
      changed[i] = c;
      (void)ParseStructure(changed);
    }
  }
  // Nested beyond all bounds.
  std::string deep(1, static_cast<char>(kStructureVersion));
  deep.push_back('\0');
  for (int i = 0; i < 100000; ++i) deep += std::string("\x01\0\0\0\0\0\0\0\0\0\0\x01", 12);
  EXPECT_FALSE(ParseStructure(deep).ok());
}

struct TypeRow {
  const char* value;
  const char* described;
};

// What Dovecot 2.3.19 answers, before the default charset.
constexpr TypeRow kTypes[] = {
    {"text", "text/"},
    {"text/", "/"},
    {"/plain", "/"},
    {"", "/"},
    {"TEXT/HTML; CharSet=\"UTF-8\"", "TEXT/HTML CharSet=UTF-8"},
    {"text/html; charset=utf-8; charset=b", "text/html charset=utf-8 charset=b"},
    {"text/plain; charset", "text/plain"},
    {"text/plain; charset=", "text/plain charset="},
    {"text/plain charset=x", "/"},
    {"text/plain; a=\"x", "text/plain"},
    {"text/plain; a=x y; b=z", "text/plain a=x b=z"},
    {"text/plain;; a=b;", "text/plain"},
    {"text / plain ; (c) a = (d) b", "text/plain a=b"},
    {"application/x; name=\"a\\\"b\\\\c\"", "application/x name=a\"b\\c"},
    {"text/plain; a[1]=2; b=c", "text/plain b=c"},
    {"text/plain; a==b", "text/plain a==b"},
    {"text/plain; a*0=x; a*1=y", "text/plain a=xy"},
    {"text/plain; a*1=y; a*0=x", "text/plain a=xy"},
    {"text/plain; a*0*=x; a*1=y", "text/plain a*=xy"},
    {"text/plain; a*1=x", "text/plain a*1=x"},
    {"text/html/xml; a=b", "/"},
    {"text/plain, x/y; a=b", "/"},
};

TEST(ContentTypeTest, AnswersAsDovecot) {
  for (const TypeRow& row : kTypes) {
    std::string type;
    std::string subtype;
    std::vector<Parameter> params;
    ParseContentType(row.value, &type, &subtype, &params);
    std::string out = type + "/" + subtype;
    for (const Parameter& param : params) out += " " + param.name + "=" + param.value;
    EXPECT_EQ(out, row.described) << row.value;
  }
}

}  // namespace
}  // namespace posthorn::mime
