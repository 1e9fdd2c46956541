export function findVenv(): string | undefined;
export function makeVenv(): { python: string } | { reason: string };
