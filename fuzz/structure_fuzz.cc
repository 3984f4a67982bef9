// Stored structures and envelopes may be corrupt.

#include "fuzz/fuzz_input.h"
#include "lib/mime/envelope.h"
#include "lib/mime/structure.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace mime = posthorn::mime;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<mime::Structure> structure = mime::ParseStructure(bytes);
  if (structure.ok()) {
    const absl::StatusOr<mime::Structure> again =
        mime::ParseStructure(mime::SerialiseStructure(*structure));
    posthorn::FuzzCheck(again.ok() && *again == *structure);
    (void)mime::FindPart(*structure, {1, 1, 2});
  }
  const absl::StatusOr<mime::Envelope> envelope = mime::ParseEnvelope(bytes);
  if (envelope.ok()) {
    const absl::StatusOr<mime::Envelope> again =
        mime::ParseEnvelope(mime::SerialiseEnvelope(*envelope));
    posthorn::FuzzCheck(again.ok() && *again == *envelope);
  }
  return 0;
}
