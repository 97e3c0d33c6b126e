# bncheck on the CPU (docs/guide/installing.md). `--target light` is the base install with ONNX; without it PyTorch and
# the pages are there too. Mount what is inspected: docker run --rm -v "$PWD:/work" bncheck audit model.safetensors
FROM python:3.11-slim AS light
COPY pyproject.toml constraints.txt README.md LICENSE /source/
COPY bncheck /source/bncheck
RUN pip install --no-cache-dir '/source[onnx]' && useradd --create-home bncheck
USER bncheck
WORKDIR /work
ENTRYPOINT ["bncheck"]
CMD ["--help"]

FROM light AS full
# The index of PyTorch's builds for the CPU, as its own page on installing names it: others bring gigabytes for GPUs.
ARG CPU_INDEX=
USER root
RUN PIP_EXTRA_INDEX_URL="$CPU_INDEX" pip install --no-cache-dir -c /source/constraints.txt '/source[torch,onnx,html]'
USER bncheck
