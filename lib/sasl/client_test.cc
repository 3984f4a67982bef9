#include "lib/sasl/client.h"

#include <gsasl.h>
#include <gtest/gtest.h>

#include "lib/sasl/base64.h"

namespace posthorn::sasl {
namespace {

TEST(ClientLoginTest, ChoosesTheBestThatTheServerHas) {
  const auto chosen = [](const std::vector<std::string>& offered) {
    const auto login = ClientLogin::Start(offered, "ann", "secret");
    return login.ok() ? (*login)->mechanism() : std::string("none");
  };
  EXPECT_EQ(chosen({"LOGIN", "plain", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}), "SCRAM-SHA-256");
  EXPECT_EQ(chosen({"LOGIN", "plain", "XOAUTH2"}), "PLAIN");
  EXPECT_EQ(chosen({"login"}), "LOGIN");
  EXPECT_EQ(chosen({"XOAUTH2", "CRAM-MD5"}), "none");
  EXPECT_EQ(chosen({}), "none");
  EXPECT_FALSE(ClientLogin::Start({"PLAIN"}, "ann", std::string("a\0b", 3)).ok());
}

TEST(ClientLoginTest, PlainSaysAllAtOnce) {
  const auto login = ClientLogin::Start({"PLAIN"}, "ann@example.test", "s\xc3\xa9" "cret");
  ASSERT_TRUE(login.ok());
  EXPECT_EQ((*login)->initial_response(),
            EncodeBase64(std::string("\0ann@example.test\0s\xc3\xa9" "cret", 25)));
  EXPECT_TRUE((*login)->done());
}

TEST(ClientLoginTest, LoginWaitsForTheQuestions) {
  const auto login = ClientLogin::Start({"LOGIN"}, "ann", "secret");
  ASSERT_TRUE(login.ok());
  EXPECT_EQ((*login)->initial_response(), "");
  EXPECT_FALSE((*login)->done());
  EXPECT_EQ((*login)->Answer(EncodeBase64("Username:")).value(), EncodeBase64("ann"));
  EXPECT_EQ((*login)->Answer(EncodeBase64("Password:")).value(), EncodeBase64("secret"));
  EXPECT_TRUE((*login)->done());
}

// Against GNU SASL's own server.
class Server {
 public:
  explicit Server(const char* password) : password_(password) {
    gsasl_init(&context_);
    gsasl_callback_hook_set(context_, this);
    gsasl_callback_set(context_, [](Gsasl* context, Gsasl_session* session, Gsasl_property what) {
      if (what != GSASL_PASSWORD) return static_cast<int>(GSASL_NO_CALLBACK);
      auto* self = static_cast<Server*>(gsasl_callback_hook_get(context));
      gsasl_property_set(session, GSASL_PASSWORD, self->password_.c_str());
      return static_cast<int>(GSASL_OK);
    });
    gsasl_server_start(context_, "SCRAM-SHA-256", &session_);
  }
  ~Server() {
    gsasl_finish(session_);
    gsasl_done(context_);
  }
  int Step(const std::string& input, std::string& output) {
    char* text = nullptr;
    const int result = gsasl_step64(session_, input.c_str(), &text);
    output = text != nullptr ? text : "";
    gsasl_free(text);
    return result;
  }

 private:
  std::string password_;
  Gsasl* context_ = nullptr;
  Gsasl_session* session_ = nullptr;
};

TEST(ClientLoginTest, ScramProvesBothSides) {
  Server server("secret");
  auto login = ClientLogin::Start({"SCRAM-SHA-256"}, "ann", "secret").value();
  std::string challenge;
  ASSERT_EQ(server.Step(login->initial_response(), challenge), GSASL_NEEDS_MORE);
  const auto proof = login->Answer(challenge);
  ASSERT_TRUE(proof.ok());
  ASSERT_EQ(server.Step(*proof, challenge), GSASL_OK);
  EXPECT_FALSE(login->done()) << "the server has proven nothing yet";
  EXPECT_TRUE(login->Answer(challenge).ok());
  EXPECT_TRUE(login->done());
}

TEST(ClientLoginTest, AServerThatDoesNotKnowThePasswordIsNotBelieved) {
  Server server("secret");
  auto login = ClientLogin::Start({"SCRAM-SHA-256"}, "ann", "secret").value();
  std::string challenge;
  server.Step(login->initial_response(), challenge);
  ASSERT_TRUE(login->Answer(challenge).ok());
  EXPECT_FALSE(login->Answer(EncodeBase64("v=" + EncodeBase64(std::string(32, 'x')))).ok());
  EXPECT_FALSE(login->done());
}

}  // namespace
}  // namespace posthorn::sasl
