"""The command `evnt`. Loading its commands takes a second, in which Ctrl-C ends it without a traceback."""

import signal


def main() -> None:
    """What `cli.commands.run` does."""
    patient = signal.getsignal(signal.SIGINT)  # ignored in a shell's background
    if patient is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from cli.commands import run

    signal.signal(signal.SIGINT, patient)
    run()


if __name__ == "__main__":
    main()
