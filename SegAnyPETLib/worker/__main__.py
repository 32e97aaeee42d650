"""`python -m SegAnyPETLib.worker`: the engine, for a program that speaks to it through its pipes."""

from SegAnyPETLib.worker.serving import serve

if __name__ == "__main__":
    serve()
