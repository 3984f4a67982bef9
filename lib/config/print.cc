#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <yaml-cpp/yaml.h>

#include "absl/strings/str_cat.h"
#include "lib/config/config.h"
#include "posthorn/config/v1/options.pb.h"

namespace posthorn::config {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

void EmitString(YAML::Emitter& out, const FieldDescriptor& field, const std::string& value) {
  const bool hidden = field.options().GetExtension(v1::secret) && !value.empty();
  out << YAML::DoubleQuoted << (hidden ? "(hidden)" : value);
}

void EmitMessage(YAML::Emitter& out, const Message& message);

void EmitElement(YAML::Emitter& out, const Message& message, const FieldDescriptor& field, int i) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      EmitMessage(out, reflection.GetRepeatedMessage(message, &field, i));
      break;
    case FieldDescriptor::CPPTYPE_INT32:
      out << reflection.GetRepeatedInt32(message, &field, i);
      break;
    case FieldDescriptor::CPPTYPE_INT64:
      out << reflection.GetRepeatedInt64(message, &field, i);
      break;
    default:
      EmitString(out, field, reflection.GetRepeatedString(message, &field, i));
  }
}

void EmitField(YAML::Emitter& out, const Message& message, const FieldDescriptor& field) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  out << YAML::Key << field.name() << YAML::Value;
  if (field.is_repeated()) {
    const int size = reflection.FieldSize(message, &field);
    if (size == 0 || field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (int i = 0; i < size; ++i) EmitElement(out, message, field, i);
    out << YAML::EndSeq;
    return;
  }
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      EmitMessage(out, reflection.GetMessage(message, &field));
      break;
    case FieldDescriptor::CPPTYPE_INT32:
      out << reflection.GetInt32(message, &field);
      break;
    case FieldDescriptor::CPPTYPE_INT64:
      out << reflection.GetInt64(message, &field);
      break;
    case FieldDescriptor::CPPTYPE_BOOL:
      out << reflection.GetBool(message, &field);
      break;
    default:
      EmitString(out, field, reflection.GetString(message, &field));
  }
}

void EmitMessage(YAML::Emitter& out, const Message& message) {
  out << YAML::BeginMap;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    EmitField(out, message, *message.GetDescriptor()->field(i));
  }
  out << YAML::EndMap;
}

}  // namespace

std::string Print(const v1::Config& config) {
  YAML::Emitter out;
  EmitMessage(out, config);
  return absl::StrCat(out.c_str(), "\n");
}

}  // namespace posthorn::config
