// Texts of strangers as they may stand in a log: short, on one line, without control characters, and without what looks
// like a secret. Never undone.

/** Every repetition is bounded and none begins a match: strangers choose these texts, and the work must stay linear. */
const secretName =
  '(?:token|passw(?:or)?d|passwd|pwd|secret|card|cvv|cvc|iban|api[_-]?key|authorization|session|signature|otp|pin)[\\w.-]{0,32}'
const separator = '(?:["\']?\\s{0,4}(?:=|:|%3D|%3A)\\s{0,4}["\']?|\\s{1,4}["\'])'
/** `token=abc`, `"password": "x"`, `card%3D41`: the value goes. */
const secretValue = new RegExp(`(${secretName}${separator})([^\\s&;"',]{1,512})`, 'gi')
const bearer = /\b(Bearer|Basic)\s{1,4}[\w.~+/=-]{4,1024}/gi
/** 13-19 digits, also in groups: what cards look like. */
const cardNumber = /\b\d(?:[ -]?\d){12,18}\b/g

/** At most `charsMax` characters, redacted; control characters and line separators as `\u....`. */
export function shortText(text: string, charsMax: number): string {
  // What is cut off takes part, so that no half of a secret looks like none.
  const clean = redacted(text.slice(0, charsMax + 64))
  return escaped(clean.length > charsMax ? `${clean.slice(0, charsMax)}...` : clean)
}

export function redacted(text: string): string {
  return text
    .replace(bearer, '$1 [redacted]')
    .replace(secretValue, '$1[redacted]')
    .replace(cardNumber, '[redacted]')
}

/** Also what looks like a line's end only to some readers, and what turns the direction of text. */

const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

function escaped(text: string): string {
  return text.replace(control, one => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
