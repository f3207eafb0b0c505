// The guard's part that looks at answers (`waf.responses`): rules of phases 3 and 4 over the instance's own words, before
// the cache or a hook has them. Instances are asked for plain answers; a text is held until it is judged, what is longer
// than `responseBytesMax` by its beginning. Event streams and what is no text are never held.

import type { CheckedGuardPolicy, CheckedWaf } from '../../../file/checked-guard.ts'
import { framing, type Http1ResponseHead } from '../../../wire/http1/index.ts'
import type { AnswerPassage, AnswerSink, AnswerStep } from '../../answer.ts'
import { codingOf, unpackBody } from '../../body/coding.ts'
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
    return verdict.pass
  },
}

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
      else
        unpackBody(coding, body, this.#waf.responseBytesMax, plain =>
          // What can't be unpacked within the bound is no text that a client reads either, or it is long.
          typeof plain === 'string' ? done(null) : judgeText(plain.latin1Slice()),
        )
    })
  }

  #pass(passage: AnswerPassage, head: Http1ResponseHead): AnswerSink | null {
    return this.#behind === null ? null : this.#behind.begin(passage, head)
  }

  #isLookedAt(passage: AnswerPassage, head: Http1ResponseHead, transaction: WafTransaction): boolean {
    if (head.framing === framing.none || passage.head.method === 'HEAD') return false
    const type = head.find('content-type') ?? ''
    return !/^text\/event-stream/i.test(type) && transaction.wantsAnswerBody(type)
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
