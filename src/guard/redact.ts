// Texts of strangers as they may stand in a log: short, on one line, without control characters, and without what looks
// like a secret. Never undone.

const secretName =
  '[\\w.-]*(?:token|passw(?:or)?d|passwd|pwd|secret|card|cvv|cvc|iban|api[_-]?key|apikey|authorization|session|signature|otp|pin)[\\w.-]*'
/** `token=abc`, `"password": "x"`, `card%3D41`: the value goes. */
const secretValue = new RegExp(`(${secretName})(["']?\\s*(?:=|:|%3D|%3A)\\s*["']?)([^\\s&;"',]{1,512})`, 'gi')
const bearer = /\b(Bearer|Basic)\s+[\w.~+/=-]{4,4096}/gi
/** 13-19 digits, also in groups: what cards look like. */
const cardNumber = /\b\d(?:[ -]?\d){12,18}\b/g

/** At most `charsMax` characters, redacted; control characters and line separators as `\u....`. */
export function shortText(text: string, charsMax: number): string {
  const cut = text.length > charsMax ? `${text.slice(0, charsMax)}...` : text
  return escaped(redacted(cut))
}

export function redacted(text: string): string {
  return text
    .replace(bearer, '$1 [redacted]')
    .replace(secretValue, '$1$2[redacted]')
    .replace(cardNumber, '[redacted]')
}

/** Also what looks like a line's end only to some readers, and what turns the direction of text. */

const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

function escaped(text: string): string {
  return text.replace(control, one => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
