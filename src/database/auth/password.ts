// A password as SCRAM hashes it: SASLprep (RFC 4013), and where that prohibits it the text as it is, like PostgreSQL's
// own pg_saslprep: what logs in there must log in here.

// @ts-expect-error: the package has no types of its own.
import untyped from 'saslprep'

/** Throws where RFC 4013 prohibits a character, or mixes directions. */
const saslprep: (text: string) => string = untyped

export function preparedPassword(password: string): string {
  // ASCII is left as it is either way.
  if (/^[\0-\x7f]*$/.test(password)) return password
  try {
    return saslprep(password) || password
  } catch {
    return password
  }
}
