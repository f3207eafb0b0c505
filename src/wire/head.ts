// The neutral head: what an exchange sees of a request or response, the same whatever protocol carried it. Fields are
// looked up by interned id (`fields.ts`) or by name, iterated by index, and copied out in HTTP/1.1 form.

export interface Head {
  /** Number of fields. */
  readonly count: number
  /** Interned id of field i, 0 for a name that is not interned. */
  idAt(i: number): number
  /** As it was sent. */
  nameAt(i: number): string
  /** Without surrounding white space. */
  valueAt(i: number): string
  /** Index of the first field with the id, or -1. */
  firstOf(id: number): number
  /** The first value of the field, or undefined. */
  value(id: number): string | undefined
  /** All values of a field by lower-case name, joined by `, ` (RFC 9110 5.3); undefined when absent. */
  find(name: string): string | undefined
  /**
   * `name: value\r\n` for each field whose id is not dropped (`dropById[id] === 1`) and that `alsoDrop`, a list of
   * lower-case names, does not name.
   */
  copyFields(dropById: Uint8Array, alsoDrop: readonly string[] | null): string
}

export interface RequestHead extends Head {
  readonly method: string
  /** Path and query in origin form, as sent; `*` for OPTIONS *. */
  readonly target: string
  /** Host and port as sent (from the absolute target when there was one), '' when an HTTP/1.0 request has none. */
  readonly authority: string
  /** 0 or 1 for HTTP/1.x. */
  readonly versionMinor: number
}

export interface ResponseHead extends Head {
  /** `copyFields` after the status line as it was sent, for HTTP/1.1. */
  copyWithLine(dropById: Uint8Array, alsoDrop: readonly string[] | null): string
  readonly status: number
  readonly reason: string
  readonly versionMinor: number
}
