<?php
// Roundcube beside Posthorn. `serve` sets the variables.
$config = [];

$data = getenv('WEBMAIL_DATA');
$config['db_dsnw'] = "sqlite:///$data/roundcube.db?mode=0600";
$config['temp_dir'] = "$data/temp";
$config['des_key'] = trim(file_get_contents("$data/des_key"));
$config['log_driver'] = 'stdout';

// Where mail is read and sent, such as ssl://gateway:10993 and ssl://gateway:10465. Certificates of
// a development installation are signed by nobody.
$config['imap_host'] = getenv('WEBMAIL_IMAP');
$config['smtp_host'] = getenv('WEBMAIL_SMTP');
$unverified = ['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]];
$config['imap_conn_options'] = $unverified;
$config['smtp_conn_options'] = $unverified;

// The folders that Posthorn makes for an account.
$config['drafts_mbox'] = 'Drafts';
$config['junk_mbox'] = 'Junk';
$config['sent_mbox'] = 'Sent';
$config['trash_mbox'] = 'Trash';

$config['product_name'] = 'Posthorn';
$config['support_url'] = '';
$config['enable_spellcheck'] = false;
$config['session_lifetime'] = 60;
