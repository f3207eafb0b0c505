// What the control API says about the guard, as types. Times are ISO 8601 in UTC, or milliseconds where they last.

export interface GuardPolicyView {
  readonly name: string
  readonly passed: number
  readonly refused: number
  /** Answered by the guard itself: a challenge, a place in a waiting room. */
  readonly answered: number
  /** The client went before it was decided. */
  readonly left: number
}

export interface GuardRuleView {
  readonly step: string
  readonly rule: string
  readonly refused: number
  /** It would have refused, and only records. */
  readonly detected: number
}

/** By an operator; null: until it is taken back. */
export interface GuardRulingView {
  readonly kind: 'ban' | 'allow'
  readonly block: string
  readonly until: string | null
  readonly reason: string
  readonly by: string
}

/** By a rule. */
export interface GuardBanView {
  /** Address, or `account:NAME`, `session:NAME@ADDRESS`. */
  readonly key: string
  readonly until: string
  /** How often in a row. */
  readonly strikes: number
  readonly reason: string
  readonly by: string
}

export interface GuardAuditView {
  readonly file: string
  readonly written: number
  readonly sampledOut: number
  readonly dropped: number
  readonly head: { readonly chain: string; readonly seq: number; readonly hash: string } | null
}

/** Of the edge process that serves now, since it began. */
export interface GuardView {
  readonly policies: readonly GuardPolicyView[]
  readonly rules: readonly GuardRuleView[]
  readonly closed: { readonly banned: number; readonly tooMany: number }
  readonly rulings: readonly GuardRulingView[]
  readonly bans: { readonly count: number; readonly last: readonly GuardBanView[] }
  readonly audit: GuardAuditView
  readonly messagesDropped: number
  /** A few figures of each part, by its name. */
  readonly parts: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

export interface GuardFindingView {
  readonly step: string
  readonly rule: string
  readonly text: string
  /** What would have passed. */
  readonly would?: string | undefined
  readonly detected: boolean
}

export interface GuardExplanationView {
  readonly id: string
  readonly at: string
  readonly outcome: 'refused' | 'detected'
  readonly policy: string
  readonly route: string
  readonly method: string
  readonly host: string
  readonly path: string
  readonly address: string
  readonly account: string
  readonly session: string
  readonly key: string
  readonly status: number
  readonly code: string
  readonly risk: number
  readonly riskReasons: readonly string[]
  readonly findings: readonly GuardFindingView[]
}

export interface GuardRulingWish {
  readonly kind: 'ban' | 'allow'
  readonly block: string
  readonly forMs?: number | undefined
  readonly reason?: string | undefined
  /** Also what reaches more than one should: GUARD_RULING_WIDE else. */
  readonly sure?: boolean | undefined
  /** Address that the operator works from, as far as it is known. */
  readonly operatorAt?: string | undefined
}
