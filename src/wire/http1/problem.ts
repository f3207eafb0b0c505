// What can be wrong with a head: small negative integers for the scanner, and the status, stable code and sentence that
// people see. Owns no decision about what is wrong (head.ts does).

/** Problems that `parse` answers, as negative integers; `problemOf` tells status and sentence. */
export const problem = {
  requestLine: -1,
  method: -2,
  target: -3,
  version: -4,
  lineEnd: -5,
  fieldName: -6,
  fieldValue: -7,
  folded: -8,
  host: -9,
  contentLength: -10,
  transferEncoding: -11,
  transferCoding: -12,
  bothLengths: -13,
  requestLineLong: -14,
  headLong: -15,
  fieldCount: -16,
  statusLine: -17,
  expectation: -18,
  bodyNotAllowed: -19,
  ambiguousName: -20,
  connectionList: -21,
} as const

export interface ProblemText {
  readonly status: number
  readonly code: string
  readonly text: string
}

const refusal = (status: number, code: string, text: string): ProblemText => ({ status, code, text })

const problems: Record<number, ProblemText> = {
  [problem.requestLine]: refusal(400, 'bad-request-line', 'The request line is malformed.'),
  [problem.method]: refusal(400, 'bad-method', 'The method is not a token of at most 32 characters.'),
  [problem.target]: refusal(
    400,
    'bad-target',
    'The request target has characters that must be encoded, or a form that this method does not take.',
  ),
  [problem.version]: refusal(505, 'bad-version', 'Only HTTP/1.0 and HTTP/1.1 are spoken here.'),
  [problem.lineEnd]: refusal(400, 'bad-line-end', 'A line of the head does not end in CR LF.'),
  [problem.fieldName]: refusal(400, 'bad-field-name', 'A field name is empty or is not a token.'),
  [problem.fieldValue]: refusal(400, 'bad-field-value', 'A field value has a control character.'),
  [problem.folded]: refusal(400, 'folded-field', 'Folded field lines are not accepted.'),
  [problem.host]: refusal(400, 'bad-host', 'Exactly one valid Host is needed.'),
  [problem.contentLength]: refusal(400, 'bad-content-length', 'Content-Length is not one plain number.'),
  [problem.transferEncoding]: refusal(
    400,
    'bad-transfer-encoding',
    'Transfer-Encoding is not one list that ends in one chunked, in HTTP/1.1.',
  ),
  [problem.transferCoding]: refusal(
    501,
    'unknown-transfer-coding',
    'Only the transfer coding chunked is spoken here.',
  ),
  [problem.bothLengths]: refusal(
    400,
    'two-framings',
    'Content-Length and Transfer-Encoding must not come together.',
  ),
  [problem.requestLineLong]: refusal(414, 'request-line-too-long', 'The request line is too long.'),
  [problem.headLong]: refusal(431, 'header-too-large', 'The header is too large.'),
  [problem.fieldCount]: refusal(431, 'too-many-fields', 'The header has too many fields.'),
  [problem.statusLine]: refusal(502, 'bad-status-line', 'The status line is malformed.'),
  [problem.expectation]: refusal(417, 'unknown-expectation', 'Only 100-continue can be expected.'),
  [problem.bodyNotAllowed]: refusal(400, 'body-not-allowed', 'This method must not have a body.'),
  [problem.ambiguousName]: refusal(
    400,
    'ambiguous-field-name',
    'A field name imitates a field that steers the request: use hyphens and letters only.',
  ),
  [problem.connectionList]: refusal(400, 'bad-connection', 'Connection lists too many names.'),
}

const unknown = refusal(400, 'bad-request', 'The request is malformed.')

/** Status, stable code and sentence of a negative answer of `parse`. */
export function problemOf(code: number): ProblemText {
  return problems[code] ?? unknown
}
