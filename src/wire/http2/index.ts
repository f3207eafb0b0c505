// HTTP/2 field lists to and from the HTTP/1.1 text that the rest of the edge reads: meaning only, no frames, no HPACK.

export * from './request.ts'
export * from './response.ts'
