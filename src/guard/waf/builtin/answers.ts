// Leaks in answers: traces of errors, messages of databases, keys, sources, listings of folders. Only what an application
// says by mistake, in the words of the programs that say it.

import { anyOf, type BuiltinRule } from './write.ts'

const body = 'RESPONSE_BODY'

export const answerRules: readonly BuiltinRule[] = [
  {
    id: 9000500,
    message: 'An error message of a database',
    tag: 'leak',
    phase: 4,
    targets: body,
    transformations: ['lowercase'],
    operator: anyOf(
      String.raw`you have an error in your sql syntax|unclosed quotation mark after the character string|quoted string not properly terminated|\bora-\d{5}:|pg_query\(\)|postgresql query failed|error: syntax error at or near \x22|unterminated quoted string at or near|sqlstate\[\w{5}\]|warning: mysqli?_|mysql_fetch_|supplied argument is not a valid mysql|microsoft ole db provider for|odbc sql server driver|sqlite3?::sqlexception|sqlite_error: |sqlite3\.operationalerror|com\.mysql\.jdbc|org\.postgresql\.util\.psqlexception|java\.sql\.sqlexception|db2 sql error|dynamic sql error|ibm_db_|incorrect syntax near '`,
    ),
    score: 5,
  },
  {
    id: 9000510,
    message: 'The trace of an error',
    tag: 'leak',
    phase: 4,
    targets: body,
    transformations: [],
    operator: anyOf(
      String.raw`Traceback \(most recent call last\):|\bat [\w$.<>]{3,120}\([\w$]{1,80}\.(?:java|kt|scala|groovy):\d{1,6}\)|\bat (?:async )?[\w$.<>\[\] ]{1,80} \((?:file://)?/[\w@./-]{1,200}\.[cm]?[jt]s:\d+:\d+\)|\bat (?:file://)?/[\w@./-]{1,200}/node_modules/[\w@./-]{1,200}\.[cm]?js:\d+:\d+|Stack trace:\s*#0 |(?:Fatal|Parse) error: .{1,200} in /[\w./-]{1,200}\.php|Uncaught (?:Error|Exception|TypeError): .{1,200} in /[\w./-]{1,200}\.php|Server Error in '/[\w./]{0,60}' Application|System\.(?:Web|Data|NullReference)[\w.]{0,60}Exception|goroutine \d+ \[running\]:|thread '[\w-]{1,40}' panicked at|\.rb:\d{1,5}:in [\x60']|werkzeug\.exceptions|Whitelabel Error Page`,
    ),
    score: 5,
  },
  {
    id: 9000520,
    message: 'A private key or a credential',
    tag: 'leak',
    phase: 4,
    targets: body,
    transformations: [],
    operator: anyOf(
      String.raw`-----BEGIN (?:[A-Z]{2,10} )?PRIVATE KEY-----|-----BEGIN PGP PRIVATE KEY BLOCK|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\baws_secret_access_key\s*[=:]|\bghp_[A-Za-z0-9]{36}\b|\bgithub_pat_[A-Za-z0-9_]{60,90}\b|\bxox[abpr]-[0-9A-Za-z-]{20,80}\b|\bsk_live_[0-9A-Za-z]{20,100}\b|\bpostgres(?:ql)?://[\w.-]{1,60}:[^@\s/]{1,100}@|\bmysql://[\w.-]{1,60}:[^@\s/]{1,100}@|\bmongodb(?:\+srv)?://[\w.-]{1,60}:[^@\s/]{1,100}@|\broot:[x*!$][^:\n]{0,100}:0:0:`,
    ),
    score: 5,
  },
  {
    id: 9000530,
    message: 'A source file or the listing of a folder',
    tag: 'leak',
    phase: 4,
    targets: body,
    transformations: [],
    operator: anyOf(
      String.raw`<title>Index of /|<title>Directory listing for /|<\?php\s|<%@ ?(?:page|language|import)|#!/usr/bin/(?:env )?(?:perl|python|ruby|php)\b|\[To Parent Directory\]`,
    ),
    score: 5,
  },
]
