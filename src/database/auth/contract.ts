// Logging in, both ways, as state machines over messages: bytes in, bytes out, no socket. SCRAM-SHA-256 (RFC 5802, RFC
// 7677) with the crypto of Node; saslprep for passwords beyond ASCII.

export type LoginStep =
  | { readonly kind: 'send'; readonly bytes: Buffer }
  | { readonly kind: 'done'; readonly bytes: Buffer | null }
  /** SQLSTATE and sentence for an ErrorResponse. */
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }

/** We are the server: a client proves that it knows the password. */
export interface ClientLogin {
  /** AuthenticationSASL. */
  begin(): Buffer
  /** Payload of a PasswordMessage ('p'). */
  take(payload: Buffer): LoginStep
}

/** We are the client: PostgreSQL asks for a proof. SCRAM, MD5 (existing servers only) and cleartext under TLS only. */
export interface ServerLogin {
  /** Payload of an Authentication message ('R'), from its request code on. */
  take(payload: Buffer): LoginStep
}
