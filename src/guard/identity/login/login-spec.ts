// A login of the file as the edge gets it: the secret as a text.

import type { CheckedOidc } from '../../../file/checked-guard.ts'

export interface LoginSpec extends Omit<CheckedOidc, 'clientSecret'> {
  /** Absent: a public client. */
  readonly clientSecret?: string
}
