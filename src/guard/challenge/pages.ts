// The challenge's own addresses below `/.tenfold/guard/challenge/`: what its page loads, a new proof of work, the answer to
// one, the way of who waits, and what services ask. All of them are reachable by anybody: what each costs is bounded by
// address and by how many are under way.

import { fieldId } from '../../wire/fields.ts'
import { AddressBudget } from '../address-budget.ts'
import { clientBinding } from '../binding.ts'
import { noteChallenge } from '../bots/deeds.ts'
import type { Passage } from '../passage.ts'
import { respondWithBytes } from '../pieces.ts'
import { queryValue } from '../sources.ts'
import type { GuardVisit } from '../visit.ts'
import { answerJson, answerRefusal, challengeField, redirect, wantsPage } from './answers.ts'
import type { Asset } from './assets.ts'
import type { Desk } from './desk.ts'
import { challengeRefusals } from './failures.ts'
import { type FormFields, readForm } from './form.ts'
import { challengePath, pageAction } from './page-text.ts'
import { type PageState, readPageState, writePageState } from './page-token.ts'
import { checkProof, issueProof } from './proof.ts'
import { renderChallenge, renderNotice } from './render.ts'
import { ask } from './service-questions.ts'
import { waitPage } from './wait.ts'

const formBytesMax = 16_384
/** In one window of 10 s: what costs us work, and pages. */
const perAddress = 60
const pagesPerAddress = 300
/** Wrong answers of one client (address block, browser, TLS library) in a window: no person gives so many. */
const failuresPerClient = 10
/** Keys being derived and questions to siteverify, of this worker. */
const underWayMax = 128
/** What an app calls its forms; ours begin with `tenfold-`. */
const actionText = /^(?!tenfold-)[\w-]{1,32}$/
const assetFields =
  'Cache-Control: public, max-age=86400\r\nX-Content-Type-Options: nosniff\r\nVary: Accept-Encoding\r\n'

/** Restarts of ours, time and outages are nobody's fault. */
const blameless: readonly string[] = ['other-edge', 'expired', 'away']
const isClientsDoing = (reason: string): boolean => !blameless.includes(reason)

export class ChallengePages {
  readonly #desk: Desk
  readonly #budget = new AddressBudget(perAddress)
  readonly #pagesBudget = new AddressBudget(pagesPerAddress)
  readonly #failures = new AddressBudget(failuresPerClient)
  #underWay = 0

  constructor(desk: Desk) {
    this.#desk = desk
  }

  /** Always answers, at once or later. */
  page(passage: Passage, rest: string, visit: GuardVisit): void {
    const { method } = passage.head
    const reads = method === 'GET' || method === 'HEAD'
    const asset = reads ? this.#desk.assets.byName.get(rest) : undefined
    if (asset !== undefined) {
      this.#asset(passage, asset)
      return
    }
    const costs = rest === 'new' || rest === 'pass' || rest === 'verify' || rest === 'wait'
    // Services ask for many clients from one address; what they send is signed.
    const counted = costs && rest !== 'verify'
    if (costs && this.#underWay >= underWayMax) this.#busy(passage)
    else if (counted && !this.#budget.take(visit.addressKey, this.#desk.nowMs)) this.#busy(passage)
    else if (!costs && !this.#pagesBudget.take(visit.addressKey, this.#desk.nowMs)) this.#busy(passage)
    else if (reads && rest === 'new') this.#later(passage, this.#new(passage))
    else if (reads && rest === 'page') this.#again(passage)
    else if (reads && rest === 'done') this.#done(passage, visit)
    else if (reads && rest === 'wait') this.#later(passage, waitPage(this.#desk, passage, visit))
    else if (method === 'POST' && rest === 'pass')
      this.#withForm(passage, form => this.#pass(passage, visit, form))
    else if (method === 'POST' && rest === 'verify')
      this.#withBody(passage, body => ask(this.#desk, passage, body))
    else answerRefusal(passage, challengeRefusals.unknown)
  }

  #asset(passage: Passage, asset: Asset): void {
    const takesGzip =
      /\bgzip\b/.test(passage.head.value(fieldId['accept-encoding']) ?? '') && asset.packed.length > 0
    const body = takesGzip ? asset.packed : asset.plain
    const coding = takesGzip ? 'Content-Encoding: gzip\r\n' : ''
    const fields = `Content-Type: ${asset.contentType}\r\n${coding}${assetFields}`
    respondWithBytes(passage, fields, body)
  }

  #busy(passage: Passage): void {
    answerRefusal(passage, challengeRefusals.busy, undefined, 'Retry-After: 10\r\n')
  }

  /** A request that is over meanwhile is answered by nobody: its object carries another one. */
  #later(passage: Passage, work: Promise<() => void>): void {
    const { serial } = passage
    this.#underWay++
    work
      .then(answer => {
        if (serial === passage.serial) answer()
      })
      .catch(() => {
        if (serial === passage.serial) answerRefusal(passage, challengeRefusals.failed, 'error')
      })
      .finally(() => this.#underWay--)
  }

  #withBody(passage: Passage, work: (body: string) => Promise<() => void>): void {
    passage.holdBody(formBytesMax, body => {
      if (body === null) answerRefusal(passage, challengeRefusals.malformed)
      else this.#later(passage, work(body.toString('utf8')))
    })
  }

  #withForm(passage: Passage, work: (form: FormFields) => Promise<() => void>): void {
    this.#withBody(passage, async body => {
      const form = readForm(passage.head.value(fieldId['content-type']), body)
      return form === null ? () => answerRefusal(passage, challengeRefusals.malformed) : await work(form)
    })
  }

  // --- a new proof of work ----------------------------------------------------------------------------------------

  /** For a page (`s`), or for a form of an app's (`action`). */
  async #new(passage: Passage): Promise<() => void> {
    const desk = this.#desk
    const token = queryValue(passage.target, 's')
    const wanted = queryValue(passage.target, 'action')
    const state = token === undefined ? null : readPageState(desk.keys, passage, token, desk.nowMs)
    if (token !== undefined && state === null) return () => answerRefusal(passage, challengeRefusals.old)
    if (state === null && !actionText.test(wanted ?? ''))
      return () => answerRefusal(passage, challengeRefusals.malformed, 'action')
    const risk = state?.risk ?? 0
    const challenge = await issueProof(
      desk.keys,
      {
        client: clientBinding(passage),
        action: state === null ? (wanted as string) : pageAction,
        host: passage.head.authority.toLowerCase(),
        maker: desk.maker,
        risk,
      },
      desk.costFor(risk, state !== null && desk.spec.provider === 'turnstile'),
      desk.nowMs + desk.spec.pow.expiresMs,
    )
    desk.count('issued')
    return () => answerJson(passage, 200, challenge)
  }

  // --- its answer ---------------------------------------------------------------------------------------------------

  async #pass(passage: Passage, visit: GuardVisit, form: FormFields): Promise<() => void> {
    const desk = this.#desk
    const { serial } = passage
    const client = clientBinding(passage)
    if (!this.#failures.has(client, desk.nowMs)) return () => this.#busy(passage)
    const state = readPageState(desk.keys, passage, form.s ?? '', desk.nowMs)
    if (state === null) return () => this.#old(passage)
    const token = form['cf-turnstile-response']
    const result =
      token !== undefined && desk.turnstile !== null
        ? await this.#byTurnstile(passage, token, state)
        : await this.#byProof(passage, form.altcha ?? '')
    // Meanwhile the client may have gone, and the object may carry another one's request.
    if (serial !== passage.serial) return () => {}
    if (typeof result === 'string') {
      if (isClientsDoing(result)) {
        this.#failures.take(client, desk.nowMs)
        noteChallenge(passage, visit, 'failed')
      }
      return () => this.#failed(passage, state, result)
    }
    const by = token !== undefined && desk.turnstile !== null ? 'turnstile' : 'pow'
    const { cookie, token: clearance, lifeMs } = desk.clear(passage, visit, by, result.risk)
    if (wantsPage(passage)) {
      const url = `${challengePath}done?s=${writePageState(desk.keys, passage, state, desk.nowMs)}`
      return () => redirect(passage, url, cookie)
    }
    return () =>
      answerJson(passage, 200, { passed: true, by, clearance, expiresInMs: lifeMs, to: state.to }, cookie)
  }

  async #byProof(passage: Passage, payload: string): Promise<{ risk: number } | string> {
    const desk = this.#desk
    const wanted = {
      client: clientBinding(passage),
      action: pageAction,
      host: passage.head.authority.toLowerCase(),
      maker: desk.maker,
    }
    const checked = await checkProof(desk.keys, payload, wanted, desk.nowMs)
    if (typeof checked === 'string') {
      desk.count(`failed:${checked}`)
      return checked
    }
    if (await desk.spent.spend('proof', checked.id, checked.expiresAtMs, desk.nowMs)) return checked
    desk.count('failed:spent')
    return 'spent'
  }

  async #byTurnstile(passage: Passage, token: string, state: PageState): Promise<{ risk: number } | string> {
    const desk = this.#desk
    const result = await (desk.turnstile as NonNullable<Desk['turnstile']>).verify(
      token,
      pageAction,
      passage.address,
      desk.nowMs,
    )
    if (!result.verified) {
      desk.count(result.away ? 'failed:turnstile-away' : 'failed:turnstile')
      return result.away ? 'away' : result.reason
    }
    // Siteverify redeems a token once; so do we, whatever it says.
    if (await desk.spent.spend('turnstile', token, result.issuedAtMs + 360_000, desk.nowMs))
      return { risk: state.risk }
    desk.count('failed:spent')
    return 'spent'
  }

  #failed(passage: Passage, state: PageState, reason: string): void {
    if (wantsPage(passage)) {
      const notice = reason === 'other-client' ? 'changed' : 'failed'
      // Whatever Turnstile said or did not say: the next try is the proof of work, at its highest cost.
      renderChallenge(this.#desk, passage, state, { status: 403, notice, proof: true })
    } else answerRefusal(passage, challengeRefusals.failed, reason)
  }

  #old(passage: Passage): void {
    if (!wantsPage(passage)) answerRefusal(passage, challengeRefusals.old)
    else renderNotice(this.#desk, passage, 403, { notice: 'old', waitSeconds: 0, url: '/', link: 'again' })
  }

  // --- pages --------------------------------------------------------------------------------------------------------

  /** The page once more: for apps that show it, and the way past a script that can't be loaded. */
  #again(passage: Passage): void {
    const desk = this.#desk
    const state = readPageState(desk.keys, passage, queryValue(passage.target, 's') ?? '', desk.nowMs)
    if (state === null) this.#old(passage)
    else
      renderChallenge(desk, passage, state, {
        status: 403,
        notice: null,
        proof: queryValue(passage.target, 'way') === 'pow',
      })
  }

  /** After a challenge: has the browser kept the cookie? Else it would be asked for ever. */
  #done(passage: Passage, visit: GuardVisit): void {
    const desk = this.#desk
    const state = readPageState(desk.keys, passage, queryValue(passage.target, 's') ?? '', desk.nowMs)
    if (state === null) {
      this.#old(passage)
      return
    }
    const found = desk.clearanceOf(passage, visit)
    if (typeof found === 'string') {
      desk.count('failed:no-cookie')
      const notice = found === 'none' ? 'cookies' : 'changed'
      renderNotice(
        desk,
        passage,
        403,
        { notice, waitSeconds: 0, url: state.to, link: 'again' },
        `${challengeField}: cookies\r\n`,
      )
    } else if (state.form)
      renderNotice(desk, passage, 200, { notice: 'passed', waitSeconds: 0, url: state.to, link: 'back' })
    else redirect(passage, state.to)
  }
}
