// When a certificate is asked for: the first time, again after a failure, and before it ends. Public authorities allow few
// failed tries (Let's Encrypt: 5 an hour for a name), so what is wrong is tried at most four times in the first hour and
// then ever more rarely. Times are milliseconds since 1970; `unit` is a number in [0, 1) that spreads names.

const minuteMs = 60_000

/** After so many failures in a row; then the last one again and again. */
const retryMs: readonly number[] = [5, 15, 30, 60, 120, 240, 360].map(minutes => minutes * minuteMs)
/** Each wait is up to this share shorter or longer. */
const retrySpread = 0.2
/** An authority that asks for more is believed this far. */
const retryAfterMaxMs = 7 * 24 * 60 * minuteMs
/** Of a certificate's life: what is left when it is renewed, and how much earlier that may be. */
const renewShare = 1 / 3
const renewSpread = 0.05

export interface CertificateLife {
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** @param renewBeforeMs Left at the renewal; null: a third of its life. Never more than that half. */
export function renewAtMs(life: CertificateLife, renewBeforeMs: number | null, unit: number): number {
  const wholeMs = Math.max(0, life.notAfterMs - life.notBeforeMs)
  const leftMs = Math.min(renewBeforeMs ?? wholeMs * renewShare, wholeMs / 2)
  return Math.round(life.notAfterMs - leftMs - unit * renewSpread * wholeMs)
}

/** @param retryAfterMs What the authority asked for; 0 when it asked for nothing. */
export function retryAtMs(nowMs: number, failures: number, retryAfterMs: number, unit: number): number {
  const step = retryMs[Math.min(Math.max(failures, 1), retryMs.length) - 1] as number
  const ownMs = step * (1 - retrySpread + 2 * retrySpread * unit)
  const askedMs = Math.min(retryAfterMs, retryAfterMaxMs)
  return Math.round(nowMs + Math.max(ownMs, askedMs))
}
