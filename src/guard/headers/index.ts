// Security fields of the answers: what the policy says, unless the instance says the same field itself, since it knows its
// pages better. A nonce is fresh for each answer and told to the instance. Set before the request is passed on, so that
// files and errors have them too; taken back field by field when the instance's head comes.

import type { CheckedGuardPolicy, CheckedSecurityHeaders } from '../../file/checked-guard.ts'
import type { Http1ResponseHead } from '../../wire/http1/index.ts'
import type { AnswerPassage, AnswerSink, AnswerStep } from '../answer.ts'
import { addEdits } from '../edits.ts'
import type { GuardPart, GuardStep, GuardSurroundings } from '../part.ts'
import { type Passage, verdict } from '../passage.ts'
import type { GuardVisit } from '../visit.ts'

interface SecurityLine {
  /** Lower case. */
  readonly field: string
  /** Pieces of the ready line; a nonce stands between them. */
  readonly pieces: readonly string[]
}

const nonceField = 'tenfold-nonce'
const notStored = 'Cache-Control: private, no-cache\r\n'

export function createPart(_surroundings: GuardSurroundings): GuardPart {
  return {
    name: 'headers',
    step: ({ headers }) => (headers === undefined ? null : new HeadersStep(headers)),
    answer: ({ headers }: CheckedGuardPolicy, _route, _spec, behind) =>
      headers === undefined ? behind : new HeadersAnswer(headers, behind),
  }
}

/** In the order in which they are sent; empty ones are not. */
export function securityLines(headers: CheckedSecurityHeaders): readonly SecurityLine[] {
  const values: readonly (readonly [string, string])[] = [
    ['X-Content-Type-Options', 'nosniff'],
    ['Content-Security-Policy', headers.contentSecurityPolicy],
    ['Content-Security-Policy-Report-Only', headers.contentSecurityPolicyReportOnly],
    ['Referrer-Policy', headers.referrerPolicy],
    ['Permissions-Policy', headers.permissionsPolicy],
    ['Cross-Origin-Opener-Policy', headers.crossOriginOpenerPolicy],
    ['Cross-Origin-Resource-Policy', headers.crossOriginResourcePolicy],
    ['X-Frame-Options', headers.frameOptions],
  ]
  return values
    .filter(([, value]) => value !== '')
    .map(([name, value]) => ({
      field: name.toLowerCase(),
      pieces: headers.usesNonce ? `${name}: ${value}\r\n`.split('{nonce}') : [`${name}: ${value}\r\n`],
    }))
}

function filled({ pieces }: SecurityLine, visit: GuardVisit): string {
  return pieces.length === 1 ? (pieces[0] as string) : pieces.join(visit.nonce)
}

class HeadersStep implements GuardStep {
  readonly name = 'headers'
  readonly #lines: readonly SecurityLine[]
  readonly #usesNonce: boolean

  constructor(headers: CheckedSecurityHeaders) {
    this.#lines = securityLines(headers)
    this.#usesNonce = headers.usesNonce
  }

  enter(passage: Passage, visit: GuardVisit): number {
    for (const line of this.#lines) passage.extraFields += filled(line, visit)
    // Also where a client sends one: instances believe it.
    if (this.#usesNonce) addEdits(passage, [nonceField], `Tenfold-Nonce: ${visit.nonce}\r\n`)
    return verdict.pass
  }
}

class HeadersAnswer implements AnswerStep {
  readonly #lines: readonly SecurityLine[]
  readonly #usesNonce: boolean
  readonly #behind: AnswerStep | null

  constructor(headers: CheckedSecurityHeaders, behind: AnswerStep | null) {
    this.#lines = securityLines(headers)
    this.#usesNonce = headers.usesNonce
    this.#behind = behind
  }

  begin(passage: AnswerPassage, head: Http1ResponseHead): AnswerSink | null {
    const visit = passage.visit as GuardVisit | null
    if (visit !== null) {
      for (const line of this.#lines) if (this.#isTaken(line, head)) take(passage, filled(line, visit))
      // Who stores a page with its nonce would serve the same one to everybody.
      if (this.#usesNonce && head.find('cache-control') === undefined && isPage(head))
        passage.extraFields += notStored
    }
    return this.#behind === null ? null : this.#behind.begin(passage, head)
  }

  /** By the instance, or by the page that the client has: a 304 must not bring a nonce that is not in it. */
  #isTaken({ field, pieces }: SecurityLine, head: Http1ResponseHead): boolean {
    return head.find(field) !== undefined || (head.status === 304 && pieces.length > 1)
  }
}

/** Once: another part may have written the same line. */
function take(passage: AnswerPassage, line: string): void {
  const at = passage.extraFields.indexOf(line)
  if (at >= 0)
    passage.extraFields = passage.extraFields.slice(0, at) + passage.extraFields.slice(at + line.length)
}

function isPage(head: Http1ResponseHead): boolean {
  return head.find('content-type')?.toLowerCase().startsWith('text/html') ?? false
}
