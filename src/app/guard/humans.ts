// Is a person behind this request? The edge knows who has passed a challenge and says so, signed, with each request of a route
// that challenges; forms may bring a proof of their own, which the edge is asked about, since it alone can see to it that
// a proof is used once. Whatever is missing, late, unclear or not signed means no.

import { HttpPoster } from '../../io/http-post.ts'
import { Failure } from '../../kit/failure.ts'
import { humanFailures } from './failures.ts'
import { formField, type HumanRequest, type SeenRequest, seenRequest } from './requests.ts'
import { readStatement, type Statement, signQuestion } from './statement.ts'

export interface HumanOptions {
  /** Base64url; `TENFOLD_GUARD_KEY` when absent. */
  readonly key?: string
  /** Where the edge is asked; `TENFOLD_GUARD_URL` when absent. Without one, forms' own proofs and `once` are never believed. */
  readonly url?: string
  /** Of a question to the edge; 3,000 when absent, 100 to 60,000. */
  readonly timeoutMs?: number
}

export type HumanBy = 'pow' | 'turnstile' | 'wait'

export interface HumanWish {
  /** What a form is for: 1-32 letters, digits, `-` and `_`. A proof that was asked for another action is refused. */
  readonly action?: string
  /** The form's fields, where the framework has not put them into `request.body`. */
  readonly form?: unknown
  /** The form must bring a proof of its own: that somebody passed a challenge some time ago is not enough. */
  readonly proof?: boolean
  /** Uses the clearance up: this browser is challenged again before it can do this once more. For purchases. */
  readonly once?: boolean
  /** Ways of passing that count; all of them when absent. `wait` is what browsers without scripts do. */
  readonly by?: readonly HumanBy[]
  /** 0-100; a higher risk is refused. 100 when absent. */
  readonly riskMax?: number
}

export type HumanResult =
  | { readonly human: true; readonly by: HumanBy; readonly risk: number }
  | {
      readonly human: false
      /**
       * `no-statement`: the request did not come through a route that challenges. `not-cleared`, `no-proof`, `spent`,
       * `risk`, `by`, `unverifiable` (the edge could not be asked), or why a form's proof was refused: `expired`,
       * `forged`, `malformed`, `unsolved`, `other-client`, `other-action`, `other-host`, `other-edge`, or Turnstile's code.
       */
      readonly reason: string
      /** What to answer with. */
      readonly status: 403 | 503
      readonly risk: number
    }

/** Fields in which the widgets put what they have: ALTCHA's, Turnstile's. */
const proofField = 'altcha'
const turnstileField = 'cf-turnstile-response'
const actionText = /^(?!tenfold-)[\w-]{1,32}$/
const keyBytes = 32
const defaultTimeoutMs = 3_000
const socketsMax = 32

const no = (reason: string, risk = -1, status: 403 | 503 = 403): HumanResult => ({
  human: false,
  reason,
  status,
  risk,
})

export class Humans {
  readonly #key: Buffer
  readonly #url: string | null
  readonly #timeoutMs: number
  readonly #poster = new HttpPoster(socketsMax)

  /** @throws Failure */
  constructor(options: HumanOptions = {}) {
    this.#key = Buffer.from(options.key ?? process.env.TENFOLD_GUARD_KEY ?? '', 'base64url')
    if (this.#key.length !== keyBytes)
      throw new Failure(
        humanFailures.keyMissing,
        'There is no TENFOLD_GUARD_KEY of 32 bytes (base64url), and no option `key`.',
      )
    const url = options.url ?? process.env.TENFOLD_GUARD_URL ?? ''
    if (url !== '' && !/^https?:\/\//.test(url))
      throw new Failure(
        humanFailures.optionWrong,
        `\`url\` is ${url}; it must begin with http:// or https://.`,
      )
    this.#url = url === '' ? null : new URL('/.tenfold/guard/challenge/verify', url).href
    this.#timeoutMs = options.timeoutMs ?? defaultTimeoutMs
    if (!(this.#timeoutMs >= 100 && this.#timeoutMs <= 60_000))
      throw new Failure(
        humanFailures.optionWrong,
        `\`timeoutMs\` is ${this.#timeoutMs}; 100 to 60,000 are allowed.`,
      )
  }

  /** Rejects only for an option that is wrong: whatever the request is or the edge does, there is a result. */
  async verify(request: HumanRequest, wish: HumanWish = {}): Promise<HumanResult> {
    const { action } = wish
    if (action !== undefined && !actionText.test(action))
      throw new Failure(
        humanFailures.optionWrong,
        `\`action\` is ${JSON.stringify(action)}; 1-32 letters, digits, - and _ are allowed, and it must not begin with "tenfold-".`,
      )
    const seen = seenRequest(request)
    const token = seen.field('tenfold-human') ?? ''
    const statement = readStatement(this.#key, token, Date.now())
    if (statement === null || !isOfThis(statement, seen)) return no('no-statement')
    const result = await this.#judge(seen, token, statement, wish)
    if (!result.human) return result
    if (result.risk > (wish.riskMax ?? 100)) return no('risk', result.risk)
    return wish.by === undefined || wish.by.includes(result.by) ? result : no('by', result.risk)
  }

  async #judge(
    seen: SeenRequest,
    token: string,
    statement: Statement,
    wish: HumanWish,
  ): Promise<HumanResult> {
    const form = wish.form ?? seen.form
    const altcha = formField(form, proofField)
    const turnstile = formField(form, turnstileField)
    if (wish.action !== undefined && (altcha ?? turnstile) !== undefined) {
      const proof = turnstile === undefined ? { altcha } : { turnstile }
      return await this.#ask({ human: token, action: wish.action, ...proof }, statement.risk)
    }
    if (wish.proof === true) return no('no-proof', statement.risk)
    if (!statement.human) return no('not-cleared', statement.risk)
    // What would be refused anyway must not use anything up.
    const refused =
      statement.risk > (wish.riskMax ?? 100) || wish.by?.includes(statement.by as HumanBy) === false
    if (wish.once === true && !refused) {
      return await this.#ask({ human: token, action: wish.action ?? '', once: true }, statement.risk)
    }
    return { human: true, by: statement.by as HumanBy, risk: statement.risk }
  }

  async #ask(question: object, risk: number): Promise<HumanResult> {
    if (this.#url === null) return no('unverifiable', risk, 503)
    const body = JSON.stringify(question)
    try {
      const authorization = `Bearer ${signQuestion(this.#key, body, Date.now())}`
      const fields = {
        'Content-Type': 'application/json',
        Accept: 'application/json',
        Authorization: authorization,
      }
      const answer = await this.#poster.post(this.#url, fields, body, this.#timeoutMs)
      if (answer.status !== 200) return no('unverifiable', risk, 503)
      const told = JSON.parse(answer.body) as {
        human?: unknown
        by?: unknown
        reason?: unknown
        risk?: unknown
      }
      if (told.human === true && typeof told.by === 'string')
        return { human: true, by: told.by as HumanBy, risk: Number(told.risk) }
      return no(typeof told.reason === 'string' ? told.reason : 'unverifiable', risk)
    } catch {
      return no('unverifiable', risk, 503)
    }
  }

  /** Ends its connections to the edge. */
  close(): void {
    this.#poster.close()
  }
}

/** It was made for this request: proxies in between may copy fields to requests of their own. */
function isOfThis(statement: Statement, seen: SeenRequest): boolean {
  const id = seen.field('x-request-id')
  return statement.method === seen.method && (id === undefined || id === statement.rid)
}
