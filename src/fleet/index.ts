// The fleet: services run as processes, and the addresses of those that run elsewhere. It starts, watches, rolls,
// scales and ends instances and publishes the members of each service; it never carries a request.

export type * from './contract.ts'
