posthorn_test(gateway_imap_test
  SOURCES binary_transcript_test.cc command_transcript_test.cc condstore_transcript_test.cc facts_transcript_test.cc limit_transcript_test.cc fetch_transcript_test.cc revision_transcript_test.cc selected_mailbox_test.cc
          session_transcript_test.cc shared_snapshot_transcript_test.cc sort_transcript_test.cc two_sessions_test.cc
  LIBS posthorn_gateway_imap posthorn_gateway_fakes posthorn_gateway_mail_store_fake)
