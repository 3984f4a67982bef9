// Writes docs/configuration.md from the schema: keys, defaults, units and bounds from the field
// options, explanations from the comments (which protoc keeps only in a descriptor set).
//
//   posthorn_config_reference DESCRIPTORS --write FILE
//   posthorn_config_reference DESCRIPTORS --check FILE     status 1 if FILE is not current

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "posthorn/config/v1/config.pb.h"
#include "posthorn/config/v1/options.pb.h"

namespace posthorn::config {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

constexpr char kIntroduction[] = R"(# Configuration

<!-- Generated from proto/posthorn/config/v1/config.proto: change that, then build the target
     update_configuration_reference. -->

Posthorn reads one YAML file: `posthorn serve --config FILE`. Everything has a default; without a
file the defaults hold. A key can also be given by the environment, `POSTHORN_GATEWAY__API_PORT=2900`
(sections and indexes are separated by two underscores), and on the command line,
`--set gateway.smtp_listeners[0].port=2525`. The command line wins over the environment, and that
over the file. A list that is given replaces the default list whole.

An unknown key, a wrong type, a value out of bounds or a missing file stops the start with one line
that names the place and the key. `posthorn config check` finds such errors without starting
anything, and `posthorn config print` shows what is in force, without secrets.

`SIGHUP` reads the certificates again; everything else needs a restart.
)";

std::string Comment(const std::string& raw) {
  std::vector<std::string> lines = absl::StrSplit(raw, '\n');
  for (std::string& line : lines) absl::StripAsciiWhitespace(&line);
  std::string text = absl::StrJoin(lines, " ");
  return std::string(absl::StripAsciiWhitespace(text));
}

template <typename T>
std::string CommentOf(const T& descriptor) {
  google::protobuf::SourceLocation location;
  if (!descriptor.GetSourceLocation(&location)) return "";
  return Comment(absl::StrCat(location.leading_comments, "\n", location.trailing_comments));
}

std::string TypeOf(const FieldDescriptor& field) {
  std::string type;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      type = absl::StrCat("[", field.message_type()->name(), "](#",
                          absl::AsciiStrToLower(field.message_type()->name()), ")");
      break;
    case FieldDescriptor::CPPTYPE_STRING:
      type = "text";
      break;
    case FieldDescriptor::CPPTYPE_BOOL:
      type = "true or false";
      break;
    default:
      type = "number";
  }
  return field.is_repeated() ? absl::StrCat("list of ", type) : type;
}

// The options as this program knows them: the pool of the descriptor set has the extensions only
// as unknown fields.
google::protobuf::FieldOptions OptionsOf(const FieldDescriptor& field) {
  google::protobuf::FieldOptions options;
  options.ParseFromString(field.options().SerializeAsString());
  return options;
}

std::string Cell(const std::string& text) {
  return absl::StrReplaceAll(text, {{"|", "\\|"}, {"<", "&lt;"}, {">", "&gt;"}});
}

std::string Row(const std::string& prefix, const FieldDescriptor& field) {
  const google::protobuf::FieldOptions options = OptionsOf(field);
  std::vector<std::string> type = {TypeOf(field)};
  if (options.HasExtension(v1::unit)) type.push_back(options.GetExtension(v1::unit));
  if (options.HasExtension(v1::minimum) && options.HasExtension(v1::maximum)) {
    type.push_back(absl::StrCat(options.GetExtension(v1::minimum), " to ",
                                options.GetExtension(v1::maximum)));
  } else if (options.HasExtension(v1::minimum)) {
    type.push_back(absl::StrCat("at least ", options.GetExtension(v1::minimum)));
  }
  if (options.HasExtension(v1::allowed)) {
    type.push_back(absl::StrCat(
        "one of ",
        absl::StrJoin(absl::StrSplit(options.GetExtension(v1::allowed), ' '), ", ")));
  }
  if (options.GetExtension(v1::secret)) type.push_back("secret");
  std::string fallback;
  if (options.HasExtension(v1::default_value)) {
    fallback = absl::StrCat("`", options.GetExtension(v1::default_value), "`");
  }
  return absl::StrCat("| `", prefix, field.name(), "` | ", absl::StrJoin(type, ", "), " | ",
                      fallback, " | ", Cell(CommentOf(field)), " |\n");
}

void Section(const std::string& title, const std::string& prefix, const Descriptor& type,
             std::string& out) {
  absl::StrAppend(&out, "\n## ", title, "\n\n");
  if (std::string comment = CommentOf(type); !comment.empty() && !prefix.empty()) {
    absl::StrAppend(&out, comment, "\n\n");
  }
  absl::StrAppend(&out, "| Key | Type | Default | Meaning |\n|---|---|---|---|\n");
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.message_type() != nullptr && !field.is_repeated()) continue;
    absl::StrAppend(&out, Row(prefix, field));
  }
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.message_type() == nullptr) continue;
    const std::string name = absl::StrCat(prefix, field.name());
    if (!field.is_repeated()) {
      Section(name, absl::StrCat(name, "."), *field.message_type(), out);
    }
  }
}

std::string Reference(const google::protobuf::FileDescriptorSet& set) {
  google::protobuf::DescriptorPool pool;
  for (const google::protobuf::FileDescriptorProto& file : set.file()) pool.BuildFile(file);
  const Descriptor& root = *pool.FindMessageTypeByName("posthorn.config.v1.Config");
  std::string out = kIntroduction;
  Section("The top level", "", root, out);
  // What lists are made of.
  for (const char* element : {"Listener", "Route"}) {
    Section(element, "", *pool.FindMessageTypeByName(absl::StrCat("posthorn.config.v1.", element)),
            out);
  }
  return out;
}

std::string ReadAll(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

int Main(const std::string& descriptors, const std::string& mode, const std::string& file) {
  google::protobuf::FileDescriptorSet set;
  if (!set.ParseFromString(ReadAll(descriptors)) || set.file().empty()) {
    std::cerr << descriptors << ": is not a descriptor set\n";
    return 1;
  }
  const std::string reference = Reference(set);
  if (mode == "--check") {
    if (ReadAll(file) == reference) return 0;
    std::cerr << file << " is not current: build the target update_configuration_reference\n";
    return 1;
  }
  std::ofstream stream(file, std::ios::binary | std::ios::trunc);
  stream << reference;
  stream.close();
  return stream ? 0 : 1;
}

}  // namespace
}  // namespace posthorn::config

int main(int argc, char** argv) {
  if (argc != 4 || (std::string(argv[2]) != "--write" && std::string(argv[2]) != "--check")) {
    std::cerr << "usage: posthorn_config_reference DESCRIPTORS --write|--check FILE\n";
    return 2;
  }
  return posthorn::config::Main(argv[1], argv[2], argv[3]);
}
