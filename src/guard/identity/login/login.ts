// One login of the file in one worker: verifies sessions, sends browsers to the provider, takes them back, logs out. See
// README.md for the life of one login.

import { randomBytes } from 'node:crypto'
import { ClientError } from 'openid-client'
import type { Clock } from '../../../kit/clock.ts'
import { wantsPage } from '../../challenge/answers.ts'
import type { SpentTable } from '../../challenge/spent-table.ts'
import { guardPath } from '../../part.ts'
import type { Passage } from '../../passage.ts'
import { queryValue } from '../../sources.ts'
import type { GuardVisit } from '../../visit.ts'
import type { IdentityAnswer, IdentityVerifier } from '../contract.ts'
import { askLogout, loginWords, redirect, say } from './answers.ts'
import type { LoginSpec } from './login-spec.ts'
import {
  cookieField,
  cookiesBeginning,
  flowCookie,
  type Place,
  placeOf,
  safePath,
  sessionCookie,
} from './place.ts'
import { type LoggedIn, Provider, ProviderAway } from './provider.ts'
import { type LoginFlow, LoginSeals, type LoginSession, randomId } from './session.ts'

export interface LoginTools {
  readonly clock: Clock
  /** What was ended or used, for all workers. */
  readonly ended: SpentTable
  tell(text: string): void
}

/** From the button to the way back; people look for their second factor. */
const flowLifeMs = 900_000
/** Tabs in which somebody logs in at once; the oldest are forgotten. */
const flowsMax = 4
/** Logins under way in a worker that wait for the provider. */
const underWayMax = 64
/** A session in use is written again at most this often. */
const noticeMs = 60_000

export class Login implements IdentityVerifier {
  readonly method = 'oidc'
  readonly source: string
  readonly #base: string
  readonly #spec: LoginSpec
  readonly #seals: LoginSeals
  readonly #provider: Provider
  readonly #tools: LoginTools
  #underWay = 0

  constructor(name: string, spec: LoginSpec, secretKey: string, tools: LoginTools) {
    this.source = name
    this.#base = `${guardPath}login/${name}/`
    this.#spec = spec
    this.#seals = new LoginSeals(secretKey, name, spec)
    this.#provider = new Provider(spec)
    this.#tools = tools
  }

  get #nowMs(): number {
    return Math.floor(this.#tools.clock.wall() / 1_000)
  }

  // --- sessions -------------------------------------------------------------------------------------------------

  /** A session that is over, ended or not ours is none: whoever shows it logs in again. */
  verify(passage: Passage): IdentityAnswer {
    const place = placeOf(passage, this.#spec.origins)
    const session = place === null ? null : this.#sessionOf(passage, place)
    if (place === null || session === null) return null
    const nowMs = this.#nowMs
    if (nowMs - session.seenAtMs > Math.min(noticeMs, this.#spec.idleMs / 4))
      passage.extraFields += this.#written({ ...session, seenAtMs: nowMs }, place) ?? ''
    const { sub, scopes, claims, endsAtMs } = session
    const untilMs = Math.min(endsAtMs, nowMs + this.#spec.idleMs)
    return { method: 'oidc', source: this.source, subject: sub, scopes, claims: { ...claims, sub }, untilMs }
  }

  #sessionOf(passage: Passage, place: Place): LoginSession | null {
    const text = cookiesBeginning(passage, sessionCookie(this.source, place.secure)).get('')
    if (text === undefined) return null
    const session = this.#seals.openSession(text, this.#nowMs)
    return session !== null && this.#tools.ended.isFresh(this.#endedName(session), session.endsAtMs)
      ? session
      : null
  }

  #endedName({ id }: LoginSession): string {
    return `login session ${id}`
  }

  #written(session: LoginSession, place: Place): string | null {
    const text = this.#seals.session(session)
    if (text === null) return null
    const lifeMs = Math.min(session.endsAtMs - session.seenAtMs, this.#spec.idleMs)
    const name = sessionCookie(this.source, place.secure)
    return cookieField(name, text, Math.ceil(lifeMs / 1_000), place.secure)
  }

  get loginPath(): string {
    return `${this.#base}start`
  }

  /** Programs learn from it where people log in. */
  challenge(): string {
    return `Tenfold-Login realm="${this.source}", uri="${this.loginPath}"`
  }

  invite(passage: Passage): boolean {
    const { method } = passage.head
    if ((method !== 'GET' && method !== 'HEAD') || !wantsPage(passage)) return false
    const mode = passage.head.find('sec-fetch-mode')
    if (mode !== undefined && mode !== 'navigate') return false
    redirect(passage, this.#startPath(safePath(passage.target)))
    return true
  }

  #startPath(to: string): string {
    return `${this.#base}start?to=${encodeURIComponent(to)}`
  }

  // --- pages ----------------------------------------------------------------------------------------------------

  /** Always answers, at once or later. */
  page(passage: Passage, rest: string, visit: GuardVisit): void {
    const { method } = passage.head
    const reads = method === 'GET' || method === 'HEAD'
    const place = placeOf(passage, this.#spec.origins)
    if (place === null) say(passage, loginWords.insecure, visit.nonce)
    else if (method === 'GET' && rest === 'start') this.#start(passage, place, visit)
    else if (method === 'GET' && rest === 'callback') this.#callback(passage, place, visit)
    else if (reads && rest === 'logout') askLogout(passage, `${this.#base}logout`, visit.nonce)
    else if (method === 'POST' && rest === 'logout') this.#logout(passage, place, visit)
    else say(passage, loginWords.unknown, visit.nonce)
  }

  #later(passage: Passage, visit: GuardVisit, work: () => Promise<() => void>): void {
    if (this.#underWay >= underWayMax) {
      say(passage, loginWords.busy, visit.nonce)
      return
    }
    const { serial } = passage
    this.#underWay++
    // A request that is over meanwhile is answered by nobody: its object carries another one.
    work()
      .then(answer => {
        if (serial === passage.serial) answer()
      })
      .catch((error: unknown) => {
        if (serial === passage.serial) this.#failed(passage, visit, error)
      })
      .finally(() => this.#underWay--)
  }

  #start(passage: Passage, place: Place, visit: GuardVisit): void {
    const { origins } = this.#spec
    const to = safePath(queryValue(passage.target, 'to'))
    const known = origins.length === 0 || origins.includes(place.origin)
    if (!known) {
      redirect(passage, `${origins[0]}${this.#startPath(to)}`)
      return
    }
    this.#later(passage, visit, async () => {
      const nowMs = this.#nowMs
      const flow: LoginFlow = {
        state: randomId(),
        nonce: randomId(),
        verifier: randomBytes(32).toString('base64url'),
        to,
        origin: place.origin,
        untilMs: nowMs + flowLifeMs,
      }
      const url = await this.#provider.loginUrl(flow, this.#callbackOf(flow.origin), nowMs)
      return () => redirect(passage, url, this.#flowFields(passage, place, flow))
    })
  }

  #callbackOf(origin: string): string {
    return `${origin}${this.#base}callback`
  }

  /** Each tab has a cookie of its own. */
  #flowFields(passage: Passage, place: Place, flow: LoginFlow): string {
    const beginning = flowCookie(this.source, place.secure)
    const own = cookieField(
      beginning + flow.state.slice(0, 12),
      this.#seals.flow(flow),
      flowLifeMs / 1_000,
      place.secure,
    )
    const others = [...cookiesBeginning(passage, beginning)]
      .filter(([rest]) => /^[\w-]{1,12}$/.test(rest))
      .map(([rest, text]) => ({ rest, untilMs: this.#seals.openFlow(text, this.#nowMs)?.untilMs ?? 0 }))
      .sort((one, other) => other.untilMs - one.untilMs)
    const gone = others.slice(flowsMax - 1, flowsMax + 12)
    return own + gone.map(({ rest }) => cookieField(beginning + rest, '', 0, place.secure)).join('')
  }

  #callback(passage: Passage, place: Place, visit: GuardVisit): void {
    const mark = passage.target.indexOf('?')
    const query = mark < 0 ? '' : passage.target.slice(mark + 1)
    const state = queryValue(passage.target, 'state') ?? ''
    const beginning = flowCookie(this.source, place.secure)
    const text = cookiesBeginning(passage, beginning).get(state.slice(0, 12)) ?? ''
    const flow = this.#seals.openFlow(text, this.#nowMs)
    const fits = flow !== null && flow.state === state && flow.origin === place.origin
    if (!fits || !this.#tools.ended.spend(`login flow ${state}`, flow.untilMs, this.#nowMs)) {
      say(passage, loginWords.stale, visit.nonce, this.#startPath('/'))
      return
    }
    const used = cookieField(beginning + state.slice(0, 12), '', 0, place.secure)
    this.#later(passage, visit, async () => {
      const who = await this.#provider.finish(flow, this.#callbackOf(flow.origin), query, this.#nowMs)
      // The session that this browser had ends: nobody goes on with an old one.
      return () => this.#begin(passage, place, visit, who, flow.to, used)
    })
  }

  #begin(passage: Passage, place: Place, visit: GuardVisit, who: LoggedIn, to: string, used: string): void {
    const nowMs = this.#nowMs
    const session: LoginSession = {
      ...who,
      id: randomId(),
      endsAtMs: nowMs + this.#spec.absoluteMs,
      seenAtMs: nowMs,
    }
    const cookie = this.#written(session, place)
    if (cookie === null) {
      this.#tools.tell(
        `login '${this.source}': the claims of an account do not fit into a cookie; keep fewer in guard.identity.oidc.${this.source}.claims`,
      )
      say(passage, loginWords.tooLarge, visit.nonce, '', used)
      return
    }
    this.#end(passage, place)
    redirect(passage, to, used + cookie)
  }

  #end(passage: Passage, place: Place): void {
    const session = this.#sessionOf(passage, place)
    if (session !== null) this.#tools.ended.spend(this.#endedName(session), session.endsAtMs, this.#nowMs)
  }

  #logout(passage: Passage, place: Place, visit: GuardVisit): void {
    const site = passage.head.find('sec-fetch-site')
    const from = passage.head.find('origin')
    if ((site !== undefined && site !== 'same-origin') || (from !== undefined && from !== place.origin)) {
      say(passage, loginWords.foreign, visit.nonce)
      return
    }
    const had = this.#sessionOf(passage, place) !== null
    this.#end(passage, place)
    const gone = cookieField(sessionCookie(this.source, place.secure), '', 0, place.secure)
    const landing = `${place.origin}${this.#spec.afterLogout}`
    this.#later(passage, visit, async () => {
      const url = had ? await this.#provider.logoutUrl(landing, this.#nowMs) : null
      return () => redirect(passage, url ?? this.#spec.afterLogout, gone)
    })
  }

  /** The browser is told that it failed, the operator why; nobody is told a token. */
  #failed(passage: Passage, visit: GuardVisit, error: unknown): void {
    const retry = this.#startPath('/')
    if (error instanceof ProviderAway || isUnreachable(error)) {
      this.#tools.tell(`login '${this.source}': the provider is out of reach: ${reasonOf(error)}`)
      say(passage, loginWords.away, visit.nonce, retry)
    } else {
      this.#tools.tell(`login '${this.source}': a login was refused: ${reasonOf(error)}`)
      say(passage, loginWords.refused, visit.nonce, retry)
    }
  }
}

/** openid-client's own codes are for answers that came and are not believed. */
function isUnreachable(error: unknown): boolean {
  const { name, code } = error as { name?: string; code?: unknown }
  if (code === 'OAUTH_TIMEOUT' || name === 'TimeoutError' || name === 'AbortError') return true
  if (name === 'AuthorizationResponseError' || name === 'ResponseBodyError') return false
  return !(error instanceof ClientError)
}

/** Codes only: messages may quote what was sent. */
function reasonOf(error: unknown): string {
  const { code, error: told, message } = error as { code?: unknown; error?: unknown; message?: unknown }
  if (error instanceof ProviderAway) return String(message).slice(0, 200)
  const text = [told, code].find(value => typeof value === 'string') ?? 'unknown'
  return String(text)
    .replace(/[^\w.-]/g, '')
    .slice(0, 60)
}
