export function findVenv(name?: 'python' | 'torch'): string | undefined;
export function makeVenv(name?: 'python' | 'torch'): { python: string } | { reason: string };
