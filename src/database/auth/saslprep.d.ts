// The package has no types of its own.

declare module 'saslprep' {
  /** Throws where RFC 4013 prohibits a character, or bidirectional text is mixed. */
  export default function saslprep(text: string): string
}
