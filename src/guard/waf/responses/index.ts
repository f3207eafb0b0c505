// The guard's part that looks at answers (`waf.responses`): rules of phases 3 and 4 over the instance's own words, before
// the cache or a hook has them. Instances are asked for plain answers; a text is held until it is judged, what is longer
// than `responseBytesMax` by its beginning. Event streams and what is no text are never held.

import type { CheckedGuardPolicy, CheckedWaf } from '../../../file/checked-guard.ts'
import { framing, type Http1ResponseHead } from '../../../wire/http1/index.ts'
import type { AnswerPassage, AnswerSink, AnswerStep } from '../../answer.ts'
import { codingOf, unpackBeginning } from '../../body/coding.ts'
import { addEdits } from '../../edits.ts'
import type { GuardPart, GuardSurroundings } from '../../part.ts'
import { verdict } from '../../passage.ts'
import type { GuardVisit } from '../../visit.ts'
import { transactionOf } from '../index.ts'
import type { WafTransaction } from '../transaction.ts'
import { HeldAnswer } from './held-answer.ts'
import { type AnswerJudge, judgeSafely } from './judge.ts'

export { answerRefusals } from './judge.ts'

export function createPart(_surroundings: GuardSurroundings): GuardPart {
  return {
    name: 'responses',
    step: ({ waf }) => (waf?.responses === true ? plainAnswers : null),
    answer: (policy, _route, _spec, behind) =>
      policy.waf?.responses === true ? new LeakStep(policy, policy.waf, behind) : behind,
  }
}

/** An answer that is packed would have to be unpacked to be looked at; the edge packs it for the client again. */
const plainAnswers = {
  name: 'responses',
  enter: (passage: Parameters<typeof addEdits>[0]) => {
    addEdits(passage, ['accept-encoding'], 'Accept-Encoding: identity\r\n')
    // Defined for GET only (RFC 9110 14.2); and what has a body can't be asked twice.
    if (passage.head.method !== 'GET' || passage.client?.bodyOpen === true) addEdits(passage, wholeOnly, '')
    return verdict.pass
  },
}

const wholeOnly = ['range', 'if-range']

class LeakStep implements AnswerStep {
  readonly #waf: CheckedWaf
  readonly #detects: boolean
  readonly #behind: AnswerStep | null

  constructor(policy: CheckedGuardPolicy, waf: CheckedWaf, behind: AnswerStep | null) {
    this.#waf = waf
    this.#detects = waf.mode === 'detect' || policy.detectOnly.includes('waf')
    this.#behind = behind
  }

  begin(passage: AnswerPassage, head: Http1ResponseHead): AnswerSink | null {
    const visit = passage.visit as GuardVisit | null
    const transaction = visit === null ? undefined : transactionOf(visit)
    if (visit === null || transaction === undefined) return this.#pass(passage, head)
    if (!this.#detects && this.#isPieceOfText(passage, head, transaction)) return new WholeInstead(passage)
    const judge: AnswerJudge = {
      transaction,
      visit,
      detects: this.#detects,
      threshold: this.#waf.outboundThreshold,
    }
    const refused = judgeSafely(judge, false, () => transaction.answerHead(answerOf(head)))
    const holds = this.#isLookedAt(passage, head, transaction)
    if (!holds && refused === null) return this.#pass(passage, head)
    const copy = head.copy()
    if (copy === null) return this.#pass(passage, head)
    const coding = codingOf(codingsOf(head))
    return new HeldAnswer(passage, copy, this.#behind, this.#waf.responseBytesMax, refused, (body, done) => {
      const judgeText = (text: string): void => {
        done(judgeSafely(judge, true, () => transaction.answerBody(text)))
      }
      if (coding === '') judgeText(body.latin1Slice())
      else if (coding === null) done(null)
      else unpackBeginning(coding, body, this.#waf.responseBytesMax, plain => judgeText(plain.latin1Slice()))
    })
  }

  #pass(passage: AnswerPassage, head: Http1ResponseHead): AnswerSink | null {
    return this.#behind === null ? null : this.#behind.begin(passage, head)
  }

  /** A leak that is asked for in ranges shows itself in none of them. What is no text has its ranges. */
  #isPieceOfText(passage: AnswerPassage, head: Http1ResponseHead, transaction: WafTransaction): boolean {
    if (head.status !== 206 || passage.requestEdits?.drop.includes('range') === true) return false
    const type = head.find('content-type') ?? ''
    return /^multipart\//i.test(type) || transaction.wantsAnswerBody(type)
  }

  #isLookedAt(passage: AnswerPassage, head: Http1ResponseHead, transaction: WafTransaction): boolean {
    if (head.framing === framing.none || passage.head.method === 'HEAD') return false
    // Without a type browsers guess, and a stack trace is as well read.
    const type = head.find('content-type') ?? 'text/plain'
    return !/^text\/event-stream/i.test(type) && transaction.wantsAnswerBody(type)
  }
}

/** In place of a part of a text: the whole of it is asked for, and judged. */
class WholeInstead implements AnswerSink {
  #passage: AnswerPassage | null

  constructor(passage: AnswerPassage) {
    this.#passage = passage
    // Whoever gave the head is not done with it.
    setImmediate(() => {
      if (this.#passage === null) return
      passage.refreshClock()
      addEdits(passage, wholeOnly, '')
      passage.askAgain()
    })
  }

  text(): void {}

  bytes(): boolean {
    return true
  }

  end(): void {}

  drained(): void {}

  cancel(): void {
    this.#passage = null
  }
}

function codingsOf(head: Http1ResponseHead): string[] {
  const coding = head.find('content-encoding')
  return coding === undefined ? [] : [coding]
}

function answerOf(head: Http1ResponseHead): {
  status: number
  protocol: string
  headers: (readonly [string, string])[]
} {
  const headers: (readonly [string, string])[] = []
  for (let i = 0; i < head.count; i++) headers.push([head.nameAt(i), head.valueAt(i)])
  return { status: head.status, protocol: 'HTTP/1.1', headers }
}
